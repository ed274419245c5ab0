// CodeDevice: which kernels are missing, and their program.
#include "backends/generated/code_device.h"

#include "backends/generated/carried_code.h"
#include "backends/generated/program_device.h"
#include "compiler/kernel/lowering.h"
#include "graph/fail.h"

namespace naru::generated {
namespace {

/// What a device that runs nothing compiled.
class CodeExecutable final : public Executable {
 public:
  explicit CodeExecutable(std::size_t kernels) : kernels_(kernels) {}
  MemoryUse memory() const override { return {}; }
  std::string describe() const override { return fmt::format("{} kernels, compiled ahead of time\n", kernels_); }

 private:
  std::size_t kernels_;
};

}  // namespace

CodeDevice::CodeDevice(std::shared_ptr<ProgramCompiler> compiler, const kernel::Target& target, const Rates& rates, std::string name)
    : compiler_(std::move(compiler)), target_(target), rates_(rates) {
  info_.id = compiler_->targets().front();
  info_.name = std::move(name);
  info_.automatic = false;
}

std::vector<Verdict> CodeDevice::support(const Graph& graph) const { return support_of(graph, target_, rates_); }

void CodeDevice::refuse() const {
  fail(ErrorCode::Unsupported, "device '{}': it compiles ahead of time and runs nothing", info_.id);
}

std::unique_ptr<Buffer> CodeDevice::allocate(std::int64_t) { refuse(); }
void CodeDevice::write(const BufferView&, const std::byte*) { refuse(); }
void CodeDevice::read(const BufferView&, std::byte*) { refuse(); }
EventPtr CodeDevice::submit(Submission) { refuse(); }

std::shared_ptr<const Executable> CodeDevice::compile(std::shared_ptr<const Graph> fragment) {
  const kernel::Program program = kernel::Lowering(*fragment, target_).run();
  const std::vector<const kernel::Kernel*> kernels = kernels_of(program);
  const std::lock_guard lock(mutex_);
  std::string text = kernel::prelude(compiler_->dialect());
  std::vector<std::string> absent;
  for (const kernel::Kernel* kernel : kernels) {
    const std::string printed = kernel::print(*kernel, compiler_->dialect());
    const std::string key = to_string(code_key(*compiler_, info_.id, printed));
    if (!programs_.emplace(key, nullptr).second) continue;
    absent.push_back(key);
    text += printed;
  }
  if (!absent.empty()) {
    const auto binary = std::make_shared<const std::string>(sealed(compiler_->compile(text).binary));
    for (const std::string& key : absent) programs_[key] = binary;
  }
  return std::make_shared<CodeExecutable>(kernels.size());
}

std::vector<CodeBlob> CodeDevice::code() const {
  const std::lock_guard lock(mutex_);
  std::vector<CodeBlob> blobs;
  for (const auto& [key, program] : programs_) {
    if (program != nullptr) blobs.push_back({info_.id, key, std::as_bytes(std::span(*program)), program});
  }
  return blobs;
}

}  // namespace naru::generated
