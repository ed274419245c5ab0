// Lowering: each value in the layouts that its readers want, conversions made once.
#include "backends/opencl/built_in/program.h"

#include <algorithm>
#include <cstring>

#include "graph/fail.h"
#include "graph/op_def.h"
#include "graph/scalar.h"

namespace naru::opencl {
namespace {

class Lowerer {
 public:
  Lowerer(const Graph& graph, const Chooser& chooser) : graph_(graph), chooser_(chooser), terms_(terms_of(graph)) {}

  CallProgram run() {
    for (std::size_t i = 0; i < graph_.inputs.size(); ++i) add_input(graph_.inputs[i], i);
    for (std::size_t i = 0; i < graph_.nodes.size(); ++i) lower_node(static_cast<std::int32_t>(i));
    for (std::size_t i = 0; i < graph_.outputs.size(); ++i) finish_output(graph_.outputs[i], i);
    return std::move(program_);
  }

 private:
  /// A term in memory. `as` is the term whose type the memory has: that of an end of the fragment may differ.
  struct Form {
    std::string layout;
    int block;
    int as;
  };

  std::vector<Form>& forms(int term) {
    if (static_cast<std::size_t>(term) >= forms_.size()) forms_.resize(static_cast<std::size_t>(term) + 1);
    return forms_[static_cast<std::size_t>(term)];
  }
  const Form* find_form(int term, const std::string& layout) {
    std::vector<Form>& all = forms(term);
    const auto found = std::find_if(all.begin(), all.end(), [&](const Form& form) { return form.layout == layout && form.as == term; });
    return found == all.end() ? nullptr : &*found;
  }

  int add_block(Block block) {
    program_.blocks.push_back(std::move(block));
    return static_cast<int>(program_.blocks.size()) - 1;
  }
  Block block_of(int term, const std::string& layout, Block::Kind kind) const {
    const Term& t = terms_[static_cast<std::size_t>(term)];
    Block block;
    block.kind = kind;
    block.layout = chooser_.profile().layouts.at(layout);
    block.dtype = chooser_.stored(t);
    block.size_bytes = storage_bytes(block.dtype, elements_of(block.layout, t.shape));
    return block;
  }

  /// The term as the fragment's ends have it: its own element type.
  int own_type(int term) {
    const Term& t = terms_[static_cast<std::size_t>(term)];
    if (chooser_.stored(t) == t.dtype || chooser_.stored(t) == DType::Undefined) return term;
    Term own = t;
    own.own_type = true;
    terms_.push_back(std::move(own));
    return static_cast<int>(terms_.size()) - 1;
  }

  void add_input(int term, std::size_t index) {
    const int as = own_type(term);
    const Term& t = terms_[static_cast<std::size_t>(as)];
    Block block;
    block.kind = Block::Kind::Input;
    block.size_bytes = storage_bytes(t.dtype, t.shape.numel());
    block.index = index;
    block.dtype = t.dtype;
    forms(term).push_back({kDense, add_block(std::move(block)), as});
  }

  /// The block that holds a term in a layout; converts it when need be.
  int need(int term, const std::string& layout) {
    if (const Form* form = find_form(term, layout)) return form->block;
    int block = -1;
    if (const Tensor* constant = terms_[static_cast<std::size_t>(term)].constant) {
      Block arranged = block_of(term, layout, Block::Kind::Constant);
      arranged.constant = constant;
      block = add_block(std::move(arranged));
    } else {
      NARU_CHECK(!forms(term).empty(), "a value is made before it is read");
      const Form from = forms(term).front();
      block = add_block(block_of(term, layout, Block::Kind::Scratch));
      call(chooser_.copy(from.as, from.layout, term, layout, terms_), {{"X", from.block}, {"Y", block}}, -1);
    }
    forms(term).push_back({layout, block, term});
    return block;
  }

  /// The block that a term is written to.
  int target(int term, const std::string& layout) {
    if (const Form* form = find_form(term, layout)) return form->block;
    Block block = block_of(term, layout, Block::Kind::Scratch);
    const auto output = std::find(graph_.outputs.begin(), graph_.outputs.end(), term);
    if (output != graph_.outputs.end() && layout == kDense && block.dtype == terms_[static_cast<std::size_t>(term)].dtype) {
      block.kind = Block::Kind::Output;
      block.index = static_cast<std::size_t>(output - graph_.outputs.begin());
    }
    const int index = add_block(std::move(block));
    forms(term).push_back({layout, index, term});
    return index;
  }

  void call(const Choice& choice, const std::map<std::string, int>& blocks, std::int32_t node) {
    KernelCall made{node, choice.kernel, {}};
    for (const Choice::Argument& argument : choice.arguments) {
      CallArgument value{argument.kind, -1, 0, 0};
      if (argument.kind == ArgumentRule::Kind::Memory) {
        const auto found = blocks.find(argument.operand);
        value.block = found == blocks.end() ? -1 : found->second;
      } else if (argument.kind == ArgumentRule::Kind::Int) {
        value.integer = static_cast<std::int32_t>(argument.number);
      } else {
        value.real = static_cast<float>(argument.number);
      }
      made.arguments.push_back(value);
    }
    program_.calls.push_back(std::move(made));
  }

  /// Conversions that a choice needs, those of the fragment's ends included.
  int conversions(const Choice& choice) {
    constexpr int kNever = 1000;  // parts of one output lie in one layout
    int count = 0;
    for (const Choice::Argument& argument : choice.arguments) {
      if (argument.kind != ArgumentRule::Kind::Memory || argument.term < 0) continue;
      const auto named = choice.layouts.find(argument.operand);
      const std::string layout = named == choice.layouts.end() ? kDense : named->second;
      const Term& term = terms_[static_cast<std::size_t>(argument.term)];
      if (argument.operand != choice.task.output.name) {
        count += term.constant == nullptr && find_form(argument.term, layout) == nullptr ? 1 : 0;
      } else if (!forms(argument.term).empty()) {
        count += find_form(argument.term, layout) == nullptr ? kNever : 0;
      } else {
        const bool is_end = std::find(graph_.outputs.begin(), graph_.outputs.end(), argument.term) != graph_.outputs.end();
        count += is_end && layout != kDense ? 1 : 0;
      }
    }
    return count;
  }

  void lower_node(std::int32_t index) {
    const Node& node = graph_.nodes[static_cast<std::size_t>(index)];
    std::string reason;
    const std::vector<Task> tasks = tasks_of(graph_, node, terms_, reason);
    // One by one: what the first makes decides how many conversions the next needs.
    for (std::size_t done = 0; done < tasks.size();) {
      const std::optional<Choice> choice = chooser_.next(std::span(tasks).subspan(done), terms_, [&](const Choice& c) { return conversions(c); }, reason);
      if (!choice) fail(ErrorCode::Unsupported, "{}: {}", node.label(), reason);
      done += choice->tasks;
      lower_task(*choice, index);
    }
    if (tasks.empty()) fail(ErrorCode::Unsupported, "{}: {}", node.label(), reason);
  }

  void lower_task(const Choice& choice, std::int32_t node) {
    const Task& task = choice.task;
    if (task.view) {
      forms(task.output.term).push_back({kDense, need(task.inputs[0].term, kDense), task.output.term});
      return;
    }
    std::map<std::string, int> blocks;
    for (const Choice::Argument& argument : choice.arguments) {
      if (argument.kind != ArgumentRule::Kind::Memory || argument.term < 0) continue;
      const auto named = choice.layouts.find(argument.operand);
      const std::string layout = named == choice.layouts.end() ? kDense : named->second;
      const bool written = argument.operand == task.output.name;
      blocks[argument.operand] = written ? target(argument.term, layout) : need(argument.term, layout);
    }
    call(choice, blocks, node);
  }

  void finish_output(int term, std::size_t index) {
    for (const Form& form : forms(term)) {
      const Block& block = program_.blocks[static_cast<std::size_t>(form.block)];
      if (block.kind == Block::Kind::Output && block.index == index) return;
    }
    if (forms(term).empty()) need(term, kDense);
    const Form from = forms(term).front();
    // A copy needs another term to write to than the one it reads.
    Term copy = terms_[static_cast<std::size_t>(own_type(term))];
    copy.constant = nullptr;
    terms_.push_back(std::move(copy));
    const int to = static_cast<int>(terms_.size()) - 1;
    Block block = block_of(to, kDense, Block::Kind::Output);
    block.index = index;
    call(chooser_.copy(from.as, from.layout, to, kDense, terms_), {{"X", from.block}, {"Y", add_block(std::move(block))}}, -1);
  }

  const Graph& graph_;
  const Chooser& chooser_;
  std::vector<Term> terms_;
  std::vector<std::vector<Form>> forms_;
  CallProgram program_;
};

}  // namespace

CallProgram lower(const Graph& fragment, const Chooser& chooser) { return Lowerer(fragment, chooser).run(); }

std::vector<std::byte> arrange(const Tensor& tensor, const Layout& layout, DType dtype) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(storage_bytes(dtype, elements_of(layout, tensor.shape()))));
  if (layout.is_dense() && dtype == tensor.dtype()) {
    std::memcpy(bytes.data(), tensor.data(), bytes.size());
    return bytes;
  }
  const auto put = [&](std::int64_t from, std::int64_t to) {
    if (is_float(dtype)) {
      store_f64(dtype, bytes.data(), to, load_f64(tensor.dtype(), tensor.data(), from));
    } else {
      store_i64(dtype, bytes.data(), to, load_i64(tensor.dtype(), tensor.data(), from));
    }
  };
  if (layout.is_dense()) {
    for (std::int64_t i = 0; i < tensor.numel(); ++i) put(i, i);
    return bytes;
  }
  const Physical place = *physical_of(layout, tensor.shape());
  std::int64_t length[4];  // of the logical axes
  for (int i = 0; i < 4; ++i) length[place.axis[i]] = place.extent[i];
  std::int64_t from = 0;
  for (std::int64_t a = 0; a < length[0]; ++a) {
    for (std::int64_t b = 0; b < length[1]; ++b) {
      for (std::int64_t c = 0; c < length[2]; ++c) {
        for (std::int64_t d = 0; d < length[3]; ++d) {
          put(from++, a * place.stride[0] + b * place.stride[1] + c * place.stride[2] + d * place.stride[3]);
        }
      }
    }
  }
  return bytes;
}

}  // namespace naru::opencl
