// The OpenCL driver of the simulated NPU: discovery, what each call does, and the error that each bad call gets.
#include <gtest/gtest.h>

#define CL_TARGET_OPENCL_VERSION 300
#define CL_USE_DEPRECATED_OPENCL_1_0_APIS
#define CL_USE_DEPRECATED_OPENCL_1_1_APIS
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#define CL_USE_DEPRECATED_OPENCL_2_0_APIS
#define CL_USE_DEPRECATED_OPENCL_2_1_APIS
#define CL_USE_DEPRECATED_OPENCL_2_2_APIS
#include <CL/cl.h>
#include <CL/cl_icd.h>
#include <dlfcn.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

namespace naru::npu_testing {
namespace {

constexpr cl_profiling_info kWallNanoseconds = 0x4e501;
constexpr cl_profiling_info kPicojoules = 0x4e502;

/// The platform that the loader finds through OCL_ICD_VENDORS.
cl_platform_id find_platform() {
  void* loader = dlopen("libOpenCL.so.1", RTLD_NOW);
  if (loader == nullptr) return nullptr;
  const auto get = reinterpret_cast<decltype(&clGetPlatformIDs)>(dlsym(loader, "clGetPlatformIDs"));
  cl_platform_id platform = nullptr;
  return get(1, &platform, nullptr) == CL_SUCCESS ? platform : nullptr;
}

/// All entry points, those that no loader exports included: a handle begins with their table.
const cl_icd_dispatch& table_of(cl_platform_id platform) { return **reinterpret_cast<const cl_icd_dispatch* const*>(platform); }

class Icd : public testing::Test {
 protected:
  void SetUp() override {
    platform = find_platform();
    if (platform == nullptr) GTEST_SKIP() << "no OpenCL loader, or it does not find the driver";
    cl = &table_of(platform);
    ASSERT_EQ(cl->clGetDeviceIDs(platform, CL_DEVICE_TYPE_CUSTOM, 1, &device, nullptr), CL_SUCCESS);
    open();
  }
  void TearDown() override { close(); }

  void open(const char* settings = nullptr) {
    close();
    settings != nullptr ? setenv("NARU_NPU_CONFIG", settings, 1) : unsetenv("NARU_NPU_CONFIG");
    cl_int status = CL_SUCCESS;
    context = cl->clCreateContext(nullptr, 1, &device, nullptr, nullptr, &status);
    ASSERT_EQ(status, CL_SUCCESS);
    queue = cl->clCreateCommandQueue(context, device, CL_QUEUE_PROFILING_ENABLE, &status);
    ASSERT_EQ(status, CL_SUCCESS);
    program = cl->clCreateProgramWithBuiltInKernels(context, 1, &device, "npu.unary.f32;npu.softmax.f32", &status);
    ASSERT_EQ(status, CL_SUCCESS);
    kernel = cl->clCreateKernel(program, "npu.softmax.f32", &status);
    ASSERT_EQ(status, CL_SUCCESS);
    buffer = cl->clCreateBuffer(context, CL_MEM_READ_WRITE, 4096, nullptr, &status);
    ASSERT_EQ(status, CL_SUCCESS);
    unsetenv("NARU_NPU_CONFIG");
  }
  void close() {
    if (context == nullptr) return;
    EXPECT_EQ(cl->clReleaseMemObject(buffer), CL_SUCCESS);
    EXPECT_EQ(cl->clReleaseKernel(kernel), CL_SUCCESS);
    EXPECT_EQ(cl->clReleaseProgram(program), CL_SUCCESS);
    EXPECT_EQ(cl->clReleaseCommandQueue(queue), CL_SUCCESS);
    EXPECT_EQ(cl->clReleaseContext(context), CL_SUCCESS);
    context = nullptr;
  }

  /// Softmax in place over `length` numbers of the buffer.
  void set_arguments(cl_int length = 4) {
    const cl_int one = 1;
    EXPECT_EQ(cl->clSetKernelArg(kernel, 0, sizeof(buffer), &buffer), CL_SUCCESS);
    EXPECT_EQ(cl->clSetKernelArg(kernel, 1, sizeof(buffer), &buffer), CL_SUCCESS);
    EXPECT_EQ(cl->clSetKernelArg(kernel, 2, sizeof(one), &one), CL_SUCCESS);
    EXPECT_EQ(cl->clSetKernelArg(kernel, 3, sizeof(length), &length), CL_SUCCESS);
    EXPECT_EQ(cl->clSetKernelArg(kernel, 4, sizeof(one), &one), CL_SUCCESS);
  }
  void write(const std::vector<float>& values) {
    ASSERT_EQ(cl->clEnqueueWriteBuffer(queue, buffer, CL_TRUE, 0, values.size() * 4, values.data(), 0, nullptr, nullptr), CL_SUCCESS);
  }
  std::vector<float> read(std::size_t count) {
    std::vector<float> values(count);
    EXPECT_EQ(cl->clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, count * 4, values.data(), 0, nullptr, nullptr), CL_SUCCESS);
    return values;
  }
  std::string text(cl_device_info what) {
    std::size_t size = 0;
    EXPECT_EQ(cl->clGetDeviceInfo(device, what, 0, nullptr, &size), CL_SUCCESS);
    std::string value(size, '\0');
    EXPECT_EQ(cl->clGetDeviceInfo(device, what, size, value.data(), nullptr), CL_SUCCESS);
    return value.c_str();
  }
  template <typename T>
  T number(cl_device_info what) {
    T value{};
    EXPECT_EQ(cl->clGetDeviceInfo(device, what, sizeof(value), &value, nullptr), CL_SUCCESS);
    return value;
  }
  cl_ulong profiled(cl_event event, cl_profiling_info what) {
    cl_ulong value = 0;
    EXPECT_EQ(cl->clGetEventProfilingInfo(event, what, sizeof(value), &value, nullptr), CL_SUCCESS);
    return value;
  }

  const cl_icd_dispatch* cl = nullptr;
  cl_platform_id platform = nullptr;
  cl_device_id device = nullptr;
  cl_context context = nullptr;
  cl_command_queue queue = nullptr;
  cl_program program = nullptr;
  cl_kernel kernel = nullptr;
  cl_mem buffer = nullptr;
};

TEST_F(Icd, NoEntryPointIsNull) {
  std::vector<void*> entries(sizeof(*cl) / sizeof(void*));
  std::memcpy(entries.data(), cl, sizeof(*cl));
  for (std::size_t i = 0; i < entries.size(); ++i) EXPECT_NE(entries[i], nullptr) << "entry " << i;
}

TEST_F(Icd, IsACustomDeviceWithBuiltInKernelsOnly) {
  for (const cl_device_type type : {cl_device_type{CL_DEVICE_TYPE_ALL}, cl_device_type{CL_DEVICE_TYPE_ACCELERATOR}, cl_device_type{CL_DEVICE_TYPE_DEFAULT}}) {
    cl_uint count = 7;
    EXPECT_EQ(cl->clGetDeviceIDs(platform, type, 0, nullptr, &count), CL_DEVICE_NOT_FOUND);
    EXPECT_EQ(count, 0u);
  }
  EXPECT_EQ(number<cl_device_type>(CL_DEVICE_TYPE), cl_device_type{CL_DEVICE_TYPE_CUSTOM});
  EXPECT_EQ(number<cl_bool>(CL_DEVICE_COMPILER_AVAILABLE), cl_bool{CL_FALSE});
  EXPECT_EQ(number<cl_uint>(CL_DEVICE_MEM_BASE_ADDR_ALIGN), 512u);
  const std::string names = text(CL_DEVICE_BUILT_IN_KERNELS);
  for (const char* name : {"npu.conv2d.f16", "npu.matmul.i8", "npu.attention.bf16", "npu.copy"}) EXPECT_NE(names.find(name), std::string::npos);
}

TEST_F(Icd, AnswersEveryQueryOfVersion12) {
  for (cl_device_info what = CL_DEVICE_TYPE; what <= CL_DEVICE_IMAGE_MAX_ARRAY_SIZE; ++what) {
    std::size_t size = 0;
    EXPECT_EQ(cl->clGetDeviceInfo(device, what, 0, nullptr, &size), CL_SUCCESS) << "query " << std::hex << what;
  }
}

TEST_F(Icd, RunsAKernelAndTellsSimulatedFromWallTime) {
  set_arguments();
  write({1, 1, 1, 1});
  const std::size_t one = 1;
  cl_event event = nullptr;
  ASSERT_EQ(cl->clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 0, nullptr, &event), CL_SUCCESS);
  ASSERT_EQ(cl->clWaitForEvents(1, &event), CL_SUCCESS);
  EXPECT_EQ(read(4), std::vector<float>(4, 0.25f));
  const cl_ulong start = profiled(event, CL_PROFILING_COMMAND_START), end = profiled(event, CL_PROFILING_COMMAND_END);
  EXPECT_LE(profiled(event, CL_PROFILING_COMMAND_QUEUED), start);
  EXPECT_GE(end - start, 5000u);  // the launch alone
  EXPECT_LT(end - start, 6000u);  // whatever the machine that simulates took
  EXPECT_GT(profiled(event, kWallNanoseconds), 0u);
  EXPECT_GT(profiled(event, kPicojoules), 0u);
  cl->clReleaseEvent(event);
}

TEST_F(Icd, KeepsArgumentsOfQueuedKernels) {
  cl_int status = CL_SUCCESS;
  const cl_event gate = cl->clCreateUserEvent(context, &status);
  set_arguments(4);
  write({1, 1, 1, 1});
  const std::size_t one = 1;
  cl_event event = nullptr;
  ASSERT_EQ(cl->clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 1, &gate, &event), CL_SUCCESS);
  set_arguments(2);  // later calls only
  cl_int state = CL_COMPLETE;
  EXPECT_EQ(cl->clGetEventInfo(event, CL_EVENT_COMMAND_EXECUTION_STATUS, sizeof(state), &state, nullptr), CL_SUCCESS);
  EXPECT_GT(state, CL_COMPLETE);
  ASSERT_EQ(cl->clSetUserEventStatus(gate, CL_COMPLETE), CL_SUCCESS);
  EXPECT_EQ(cl->clSetUserEventStatus(gate, CL_COMPLETE), CL_INVALID_OPERATION);
  EXPECT_EQ(cl->clFinish(queue), CL_SUCCESS);
  EXPECT_EQ(read(4), std::vector<float>(4, 0.25f));
  cl->clReleaseEvent(gate);
  cl->clReleaseEvent(event);
}

TEST_F(Icd, FailsWhatWaitsForFailedWork) {
  cl_int status = CL_SUCCESS;
  const cl_event gate = cl->clCreateUserEvent(context, &status);
  cl_event event = nullptr;
  ASSERT_EQ(cl->clEnqueueMarkerWithWaitList(queue, 1, &gate, &event), CL_SUCCESS);
  cl_int seen = CL_SUCCESS;
  ASSERT_EQ(cl->clSetEventCallback(event, CL_COMPLETE, [](cl_event, cl_int state, void* to) { *static_cast<cl_int*>(to) = state; }, &seen), CL_SUCCESS);
  ASSERT_EQ(cl->clSetUserEventStatus(gate, -7), CL_SUCCESS);
  EXPECT_EQ(cl->clWaitForEvents(1, &event), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
  EXPECT_EQ(cl->clFinish(queue), CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST);
  EXPECT_LT(seen, 0);
  EXPECT_EQ(cl->clFinish(queue), CL_SUCCESS);  // reported once
  cl->clReleaseEvent(gate);
  cl->clReleaseEvent(event);
}

TEST_F(Icd, MovesBytes) {
  write({1, 2, 3, 4});
  ASSERT_EQ(cl->clEnqueueCopyBuffer(queue, buffer, buffer, 0, 1024, 16, 0, nullptr, nullptr), CL_SUCCESS);
  EXPECT_EQ(cl->clEnqueueCopyBuffer(queue, buffer, buffer, 0, 8, 16, 0, nullptr, nullptr), CL_MEM_COPY_OVERLAP);
  cl_int status = CL_SUCCESS;
  const cl_buffer_region region{1024, 64}, crooked{1030, 64};
  const cl_mem part = cl->clCreateSubBuffer(buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &status);
  ASSERT_EQ(status, CL_SUCCESS);
  EXPECT_EQ(cl->clCreateSubBuffer(buffer, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &crooked, &status), nullptr);
  EXPECT_EQ(status, CL_MISALIGNED_SUB_BUFFER_OFFSET);
  EXPECT_EQ(cl->clCreateSubBuffer(part, CL_MEM_READ_WRITE, CL_BUFFER_CREATE_TYPE_REGION, &region, &status), nullptr);
  EXPECT_EQ(status, CL_INVALID_MEM_OBJECT);
  auto* mapped = static_cast<float*>(cl->clEnqueueMapBuffer(queue, part, CL_TRUE, CL_MAP_READ | CL_MAP_WRITE, 0, 16, 0, nullptr, nullptr, &status));
  ASSERT_EQ(status, CL_SUCCESS);
  EXPECT_EQ(mapped[3], 4);
  mapped[3] = 9;
  ASSERT_EQ(cl->clEnqueueUnmapMemObject(queue, part, mapped, 0, nullptr, nullptr), CL_SUCCESS);
  EXPECT_EQ(cl->clEnqueueUnmapMemObject(queue, part, &status, 0, nullptr, nullptr), CL_INVALID_VALUE);
  EXPECT_EQ(read(260)[259], 9);
  const float pattern = 5;
  ASSERT_EQ(cl->clEnqueueFillBuffer(queue, part, &pattern, 4, 0, 64, 0, nullptr, nullptr), CL_SUCCESS);
  EXPECT_EQ(cl->clEnqueueFillBuffer(queue, part, &pattern, 3, 0, 60, 0, nullptr, nullptr), CL_INVALID_VALUE);
  EXPECT_EQ(read(260)[259], 5);
  EXPECT_EQ(cl->clReleaseMemObject(part), CL_SUCCESS);
}

TEST_F(Icd, RefusesWhatItDoesNotHave) {
  cl_int status = CL_SUCCESS;
  EXPECT_EQ(cl->clCreateImage(context, 0, nullptr, nullptr, nullptr, &status), nullptr);
  EXPECT_EQ(status, CL_INVALID_OPERATION);
  EXPECT_EQ(cl->clCreateSampler(context, CL_FALSE, 0, 0, &status), nullptr);
  EXPECT_EQ(status, CL_INVALID_OPERATION);
  EXPECT_EQ(cl->clSVMAlloc(context, 0, 16, 0), nullptr);
  EXPECT_EQ(cl->clEnqueueNativeKernel(queue, nullptr, nullptr, 0, 0, nullptr, nullptr, 0, nullptr, nullptr), CL_INVALID_OPERATION);
  EXPECT_EQ(cl->clCreateCommandQueue(context, device, CL_QUEUE_OUT_OF_ORDER_EXEC_MODE_ENABLE, &status), nullptr);
  EXPECT_EQ(status, CL_INVALID_QUEUE_PROPERTIES);
  const char* source = "kernel void f() {}";
  const cl_program text_program = cl->clCreateProgramWithSource(context, 1, &source, nullptr, &status);
  ASSERT_EQ(status, CL_SUCCESS);
  EXPECT_EQ(cl->clBuildProgram(text_program, 1, &device, "", nullptr, nullptr), CL_COMPILER_NOT_AVAILABLE);
  EXPECT_EQ(cl->clCreateKernel(text_program, "f", &status), nullptr);
  EXPECT_EQ(status, CL_INVALID_PROGRAM_EXECUTABLE);
  EXPECT_EQ(cl->clReleaseProgram(text_program), CL_SUCCESS);
  const std::size_t size = 4;
  const auto* bytes = reinterpret_cast<const unsigned char*>("abcd");
  EXPECT_EQ(cl->clCreateProgramWithBinary(context, 1, &device, &size, &bytes, nullptr, &status), nullptr);
  EXPECT_EQ(status, CL_INVALID_BINARY);
}

TEST_F(Icd, GivesBadCallsTheErrorThatTheStandardStates) {
  const std::size_t none = 0, one = 1, two = 2;
  float value = 0;
  cl_int status = CL_SUCCESS;
  cl_uint index = 0;
  const auto made = [&](auto object) { return object == nullptr ? status : CL_SUCCESS; };
  struct BadCall {
    const char* what;
    cl_int expected;
    std::function<cl_int()> call;
  };
  auto* const not_a_queue = reinterpret_cast<cl_command_queue>(buffer);
  const cl_event null_event = nullptr;
  const BadCall calls[] = {
      {"no platform", CL_INVALID_PLATFORM, [&] { return cl->clGetDeviceIDs(reinterpret_cast<cl_platform_id>(device), CL_DEVICE_TYPE_ALL, 0, nullptr, &index); }},
      {"an unknown type", CL_INVALID_DEVICE_TYPE, [&] { return cl->clGetDeviceIDs(platform, 1 << 20, 0, nullptr, &index); }},
      {"nowhere to answer", CL_INVALID_VALUE, [&] { return cl->clGetDeviceIDs(platform, CL_DEVICE_TYPE_CUSTOM, 0, nullptr, nullptr); }},
      {"a small answer", CL_INVALID_VALUE, [&] { return cl->clGetDeviceInfo(device, CL_DEVICE_NAME, 1, &value, nullptr); }},
      {"no device", CL_INVALID_DEVICE, [&] { return cl->clGetDeviceInfo(nullptr, CL_DEVICE_NAME, 0, nullptr, nullptr); }},
      {"a context of nothing", CL_INVALID_VALUE, [&] { return made(cl->clCreateContext(nullptr, 0, nullptr, nullptr, nullptr, &status)); }},
      {"a context of no type", CL_DEVICE_NOT_FOUND, [&] { return made(cl->clCreateContextFromType(nullptr, CL_DEVICE_TYPE_GPU, nullptr, nullptr, &status)); }},
      {"a null context", CL_INVALID_CONTEXT, [&] { return made(cl->clCreateBuffer(nullptr, 0, 16, nullptr, &status)); }},
      {"an empty buffer", CL_INVALID_BUFFER_SIZE, [&] { return made(cl->clCreateBuffer(context, 0, 0, nullptr, &status)); }},
      {"a huge buffer", CL_INVALID_BUFFER_SIZE, [&] { return made(cl->clCreateBuffer(context, 0, SIZE_MAX, nullptr, &status)); }},
      {"two accesses", CL_INVALID_VALUE, [&] { return made(cl->clCreateBuffer(context, CL_MEM_READ_ONLY | CL_MEM_WRITE_ONLY, 16, nullptr, &status)); }},
      {"no host memory", CL_INVALID_HOST_PTR, [&] { return made(cl->clCreateBuffer(context, CL_MEM_COPY_HOST_PTR, 16, nullptr, &status)); }},
      {"unasked host memory", CL_INVALID_HOST_PTR, [&] { return made(cl->clCreateBuffer(context, 0, 4, &value, &status)); }},
      {"an unknown kernel", CL_INVALID_VALUE, [&] { return made(cl->clCreateProgramWithBuiltInKernels(context, 1, &device, "npu.none", &status)); }},
      {"no names", CL_INVALID_VALUE, [&] { return made(cl->clCreateProgramWithBuiltInKernels(context, 1, &device, nullptr, &status)); }},
      {"another kernel", CL_INVALID_KERNEL_NAME, [&] { return made(cl->clCreateKernel(program, "npu.copy", &status)); }},
      {"a null program", CL_INVALID_PROGRAM, [&] { return made(cl->clCreateKernel(nullptr, "npu.copy", &status)); }},
      {"an argument too many", CL_INVALID_ARG_INDEX, [&] { return cl->clSetKernelArg(kernel, 99, 4, &index); }},
      {"a wide argument", CL_INVALID_ARG_SIZE, [&] { return cl->clSetKernelArg(kernel, 2, 8, &index); }},
      {"no value", CL_INVALID_ARG_VALUE, [&] { return cl->clSetKernelArg(kernel, 2, 4, nullptr); }},
      {"no buffer", CL_INVALID_MEM_OBJECT, [&] { return cl->clSetKernelArg(kernel, 0, sizeof(cl_mem), &context); }},
      {"unset arguments", CL_INVALID_KERNEL_ARGS, [&] { return cl->clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 0, nullptr, nullptr); }},
      {"no queue", CL_INVALID_COMMAND_QUEUE, [&] { return cl->clFinish(not_a_queue); }},
      {"a read past the end", CL_INVALID_VALUE, [&] { return cl->clEnqueueReadBuffer(queue, buffer, CL_TRUE, 4096, 4, &value, 0, nullptr, nullptr); }},
      {"a read that wraps", CL_INVALID_VALUE, [&] { return cl->clEnqueueReadBuffer(queue, buffer, CL_TRUE, 8, SIZE_MAX, &value, 0, nullptr, nullptr); }},
      {"a read to nowhere", CL_INVALID_VALUE, [&] { return cl->clEnqueueReadBuffer(queue, buffer, CL_TRUE, 0, 4, nullptr, 0, nullptr, nullptr); }},
      {"a list without events", CL_INVALID_EVENT_WAIT_LIST, [&] { return cl->clEnqueueMarkerWithWaitList(queue, 1, nullptr, nullptr); }},
      {"a null event", CL_INVALID_EVENT_WAIT_LIST, [&] { return cl->clEnqueueMarkerWithWaitList(queue, 1, &null_event, nullptr); }},
      {"waiting for nothing", CL_INVALID_VALUE, [&] { return cl->clWaitForEvents(0, nullptr); }},
      {"waiting for null", CL_INVALID_EVENT, [&] { return cl->clWaitForEvents(1, &null_event); }},
      {"releasing null", CL_INVALID_MEM_OBJECT, [&] { return cl->clReleaseMemObject(nullptr); }},
      {"an unknown query", CL_INVALID_VALUE, [&] { return cl->clGetMemObjectInfo(buffer, 1, 0, nullptr, nullptr); }},
  };
  for (const BadCall& bad : calls) EXPECT_EQ(bad.call(), bad.expected) << bad.what;
  set_arguments();
  const auto launch = [&](cl_uint dimensions, const std::size_t* offset, const std::size_t* global, const std::size_t* local) {
    return cl->clEnqueueNDRangeKernel(queue, kernel, dimensions, offset, global, local, 0, nullptr, nullptr);
  };
  EXPECT_EQ(launch(0, nullptr, &one, nullptr), CL_INVALID_WORK_DIMENSION);
  EXPECT_EQ(launch(1, nullptr, &none, nullptr), CL_INVALID_GLOBAL_WORK_SIZE);
  EXPECT_EQ(launch(1, nullptr, &two, nullptr), CL_INVALID_GLOBAL_WORK_SIZE);
  EXPECT_EQ(launch(1, &one, &one, nullptr), CL_INVALID_GLOBAL_OFFSET);
  EXPECT_EQ(launch(1, nullptr, &one, &two), CL_INVALID_WORK_GROUP_SIZE);
}

TEST_F(Icd, RefusesSizesThatBuffersDoNotHold) {
  const std::size_t one = 1;
  for (const cl_int length : {0, -1, 1025, INT32_MAX}) {
    set_arguments(length);
    EXPECT_EQ(cl->clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 0, nullptr, nullptr), CL_SUCCESS);
    EXPECT_EQ(cl->clFinish(queue), CL_INVALID_KERNEL_ARGS) << length;
  }
}

TEST_F(Icd, InjectsFaults) {
  const std::size_t one = 1;
  const auto launch = [&] {
    set_arguments();
    EXPECT_EQ(cl->clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 0, nullptr, nullptr), CL_SUCCESS);
    return cl->clFinish(queue);
  };
  open(R"({"fault": {"kind": "device-lost", "after": 1}})");
  EXPECT_EQ(launch(), CL_SUCCESS);
  EXPECT_EQ(launch(), CL_DEVICE_NOT_AVAILABLE);
  EXPECT_EQ(launch(), CL_DEVICE_NOT_AVAILABLE);  // for good
  open(R"({"time_out_ms": 50, "fault": {"kind": "time-out", "count": 1}})");
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(launch(), CL_OUT_OF_RESOURCES);
  EXPECT_GE(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(50));
  EXPECT_EQ(launch(), CL_SUCCESS);
  open(R"({"fault": {"kind": "wrong-result", "every": 2}})");
  write({1, 1, 1, 1});
  EXPECT_EQ(launch(), CL_SUCCESS);
  EXPECT_NE(read(4), std::vector<float>(4, 0.25f));
  write({1, 1, 1, 1});
  EXPECT_EQ(launch(), CL_SUCCESS);
  EXPECT_EQ(read(4), std::vector<float>(4, 0.25f));
  open(R"({"fault": {"kind": "out-of-memory", "after": 1}})");
  cl_int status = CL_SUCCESS;
  EXPECT_EQ(cl->clCreateBuffer(context, 0, 16, nullptr, &status), nullptr);
  EXPECT_EQ(status, CL_MEM_OBJECT_ALLOCATION_FAILURE);
}

TEST_F(Icd, RefusesSettingsThatItCannotRead) {
  for (const char* settings : {"{", R"({"colour": 1})", R"({"memory_mb": -1})", R"({"fault": {"kind": "fire"}})", "/no/such/file"}) {
    setenv("NARU_NPU_CONFIG", settings, 1);
    cl_int status = CL_SUCCESS;
    std::string message;
    const auto notify = [](const char* what, const void*, std::size_t, void* to) { *static_cast<std::string*>(to) = what; };
    EXPECT_EQ(cl->clCreateContext(nullptr, 1, &device, notify, &message, &status), nullptr);
    EXPECT_EQ(status, CL_DEVICE_NOT_AVAILABLE) << settings;
    EXPECT_FALSE(message.empty());
  }
  unsetenv("NARU_NPU_CONFIG");
}

TEST_F(Icd, LetsGoOfHungWorkWithoutWaiting) {
  open(R"({"time_out_ms": 1000, "fault": {"kind": "time-out"}})");
  set_arguments();
  const std::size_t one = 1;
  EXPECT_EQ(cl->clEnqueueNDRangeKernel(queue, kernel, 1, nullptr, &one, nullptr, 0, nullptr, nullptr), CL_SUCCESS);
  const auto start = std::chrono::steady_clock::now();
  close();
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(800));
}

}  // namespace
}  // namespace naru::npu_testing
