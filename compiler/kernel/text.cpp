// The text form of kernels.
#include <fmt/format.h>

#include "compiler/kernel/ir.h"

namespace naru::kernel {
namespace {

class Writer {
 public:
  explicit Writer(const Kernel& kernel) : kernel_(kernel) {}

  std::string run() {
    text_ = fmt::format("kernel {} group({}, {}, {})\n", kernel_.name, kernel_.group[0], kernel_.group[1],
                        kernel_.group[2]);
    for (std::size_t i = 0; i < kernel_.buffers.size(); ++i) {
      const BufferParam& buffer = kernel_.buffers[i];
      text_ += fmt::format("  buffer b{} {}{}\n", i, to_string(buffer.element), buffer.written ? " written" : "");
    }
    for (std::size_t i = 0; i < kernel_.scalars.size(); ++i) {
      text_ += fmt::format("  scalar s{} {}\n", i, to_string(kernel_.scalars[i].element));
    }
    for (std::size_t i = 0; i < kernel_.arrays.size(); ++i) {
      const ArrayDecl& array = kernel_.arrays[i];
      text_ += fmt::format("  array a{} {}[{}]{}\n", i, to_string(array.element), array.size, array.shared ? " shared" : "");
    }
    block(kernel_.body);
    return std::move(text_);
  }

 private:
  void line(const std::string& text) {
    text_.append(indent_, ' ');
    text_ += text + "\n";
  }

  void block(const Block& statements) {
    indent_ += 2;
    for (const Stmt& s : statements) write(s);
    indent_ -= 2;
  }

  void write(const Stmt& s) {
    const auto value = [&] { return expression(*s.value); };
    switch (s.kind) {
      case Stmt::Kind::Let: case Stmt::Kind::Var:
        return line(fmt::format("{} v{}:{} = {}", s.kind == Stmt::Kind::Let ? "let" : "var", s.index,
                                to_string(kernel_.variables[static_cast<std::size_t>(s.index)]), value()));
      case Stmt::Kind::Assign: return line(fmt::format("v{} = {}", s.index, value()));
      case Stmt::Kind::Store: return line(fmt::format("b{}[{}] = {}", s.index, expression(*s.at), value()));
      case Stmt::Kind::ArrayStore: return line(fmt::format("a{}[{}] = {}", s.index, expression(*s.at), value()));
      case Stmt::Kind::For:
        line(fmt::format("for v{} = {} .. {} step {}", s.index, value(), expression(*s.end), s.step));
        return block(s.body);
      case Stmt::Kind::If:
        line("if " + value());
        block(s.body);
        if (s.other.empty()) return;
        line("else");
        return block(s.other);
      case Stmt::Kind::Barrier: return line("barrier");
    }
  }

  std::string expression(const ExprNode& e) const {
    switch (e.op) {
      case Op::Literal:
        return is_float(e.type.element) ? fmt::format("{}:{}", e.real, to_string(e.type))
               : e.type.element == Element::I32 ? fmt::format("{}", e.integer)
                                                : fmt::format("{}:{}", e.integer, to_string(e.type));
      case Op::Argument: return fmt::format("s{}", e.index);
      case Op::Variable: return fmt::format("v{}", e.index);
      case Op::Load: case Op::ArrayLoad:
        return fmt::format("{}{}[{}]{}", e.op == Op::Load ? 'b' : 'a', e.index, expression(*e.operands[0]),
                           e.type.lanes == 1 ? "" : fmt::format(":{}", e.type.lanes));
      case Op::GlobalId: case Op::LocalId: case Op::GroupId: return fmt::format("{}({})", info_of(e.op).name, e.index);
      default: break;
    }
    std::string text = info_of(e.op).name;
    if (e.op == Op::Cast || e.op == Op::BitCast || e.op == Op::Splat) text += ":" + to_string(e.type);
    for (std::size_t i = 0; i < e.operands.size(); ++i) text += (i == 0 ? "(" : ", ") + expression(*e.operands[i]);
    return text + ")";
  }

  const Kernel& kernel_;
  std::string text_;
  std::size_t indent_ = 0;
};

}  // namespace

std::string to_string(const Kernel& kernel) { return Writer(kernel).run(); }

}  // namespace naru::kernel
