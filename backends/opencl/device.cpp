// ClDevice: the context, copies, the compiler.
#include "backends/opencl/device.h"

#include "backends/opencl/sequence.h"
#include "graph/fail.h"

namespace naru::opencl {
namespace {

constexpr const char* kOptions = "-cl-std=CL1.2";

Context make_context(cl_device_id device) {
  cl_int status = CL_SUCCESS;
  Context context(api().CreateContext(nullptr, 1, &device, nullptr, nullptr, &status));
  check(status, "creating a context");
  return context;
}

}  // namespace

std::string ClCompiler::identity() const { return profile_.identity() + "\n" + kOptions; }

ProgramHandle ClCompiler::build(const std::string& text) const {
  const char* source = text.c_str();
  cl_int status = CL_SUCCESS;
  ProgramHandle program(api().CreateProgramWithSource(context_, 1, &source, nullptr, &status));
  check(status, "creating a program");
  status = api().BuildProgram(program.get(), 1, &profile_.device, kOptions, nullptr, nullptr);
  if (status == CL_SUCCESS) return program;
  std::size_t size = 0;
  api().GetProgramBuildInfo(program.get(), profile_.device, CL_PROGRAM_BUILD_LOG, 0, nullptr, &size);
  std::string log(size, '\0');
  api().GetProgramBuildInfo(program.get(), profile_.device, CL_PROGRAM_BUILD_LOG, size, log.data(), nullptr);
  fail(ErrorCode::Device, "opencl: building a program failed with {}\n{}\n{}", status_name(status), log, text);
}

ClCompiler::Output ClCompiler::compile(const std::string& text) {
  Output output;
  ProgramHandle built = build(text);
  std::size_t size = 0;
  if (api().GetProgramInfo(built.get(), CL_PROGRAM_BINARY_SIZES, sizeof(size), &size, nullptr) == CL_SUCCESS && size > 0) {
    output.binary.resize(size);
    auto* data = reinterpret_cast<unsigned char*>(output.binary.data());
    if (api().GetProgramInfo(built.get(), CL_PROGRAM_BINARIES, sizeof(data), &data, nullptr) != CL_SUCCESS) output.binary.clear();
  }
  // What runs is what a later process will load; but some drivers give binaries that they do not take.
  const std::span<const std::byte> bytes = std::as_bytes(std::span(output.binary));
  output.program = output.binary.empty() ? nullptr : load(bytes);
  if (output.program == nullptr) output = {{}, std::make_shared<const ProgramHandle>(std::move(built))};
  return output;
}

generated::Program ClCompiler::load(std::span<const std::byte> binary) {
  const std::size_t size = binary.size();
  const auto* data = reinterpret_cast<const unsigned char*>(binary.data());
  cl_int status = CL_SUCCESS;
  ProgramHandle program(api().CreateProgramWithBinary(context_, 1, &profile_.device, &size, &data, nullptr, &status));
  if (status != CL_SUCCESS) return nullptr;
  if (api().BuildProgram(program.get(), 1, &profile_.device, "", nullptr, nullptr) != CL_SUCCESS) return nullptr;
  return std::make_shared<const ProgramHandle>(std::move(program));
}

ClDevice::ClDevice(Profile profile, int workers)
    : profile_(std::move(profile)),
      context_(make_context(profile_.device)),
      pool_(std::make_shared<Pool>(context_.get(), profile_.max_allocation_bytes)),
      compiler_(context_.get(), profile_),
      programs_(compiler_, "opencl") {
  for (int worker = generated::kSetupWorker; worker < workers; ++worker) {
    cl_int status = CL_SUCCESS;
    lines_.push_back(std::make_unique<Line>());
    lines_.back()->queue = Queue(api().CreateCommandQueue(context_.get(), profile_.device, CL_QUEUE_PROFILING_ENABLE, &status));
    check(status, "creating a queue");
  }
}

/// A modest compute unit, and memory of one socket.
generated::Rates ClDevice::rates() const { return {2e10 * static_cast<double>(profile_.compute_units), 8e9, 1e-5}; }

generated::Memory ClDevice::wrap_host(const std::byte* data, std::int64_t size_bytes) {
  cl_int status = CL_SUCCESS;
  auto memory = std::make_shared<opencl::Memory>(api().CreateBuffer(context_.get(), CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR,
                                                                    static_cast<std::size_t>(size_bytes),
                                                                    const_cast<std::byte*>(data), &status));
  check(status, "using host memory");
  return generated::Memory(new Location(location_in(memory->get(), 0)), [memory](const Location* l) { delete l; });
}

void ClDevice::write(const Location& to, const std::byte* from, std::int64_t size_bytes) {
  Line& line = line_of(generated::kSetupWorker);
  const std::lock_guard lock(line.mutex);
  check(api().EnqueueWriteBuffer(line.queue.get(), object_of(to), CL_TRUE, static_cast<std::size_t>(to.offset_bytes),
                                 static_cast<std::size_t>(size_bytes), from, 0, nullptr, nullptr),
        "copying to the device");
}

void ClDevice::read(const Location& from, std::byte* to, std::int64_t size_bytes) {
  Line& line = line_of(generated::kSetupWorker);
  const std::lock_guard lock(line.mutex);
  check(api().EnqueueReadBuffer(line.queue.get(), object_of(from), CL_TRUE, static_cast<std::size_t>(from.offset_bytes),
                                static_cast<std::size_t>(size_bytes), to, 0, nullptr, nullptr),
        "copying from the device");
}

std::unique_ptr<generated::Sequence> ClDevice::sequence(std::vector<const kernel::Launch*> launches,
                                                        std::vector<generated::BuiltKernel> built, int worker) {
  return std::make_unique<ClSequence>(*this, std::move(launches), std::move(built), worker);
}

}  // namespace naru::opencl
