// The IR itself: text form, bounds analysis, barriers on the interpreter.
#include <gtest/gtest.h>

#include "compiler/kernel/bounds.h"
#include "compiler/kernel/build.h"
#include "compiler/kernel/interpret.h"
#include "compiler/kernel/print.h"
#include "naru/error.h"

namespace naru::kernel {
namespace {

/// A launch of what `builder` holds over operands of these element counts.
Launch launch_of(Builder& builder, const std::vector<std::int64_t>& elements) {
  Launch launch;
  launch.arguments = builder.arguments();
  launch.grid = builder.grid();
  launch.kernel = std::make_shared<const Kernel>(builder.take());
  for (std::size_t i = 0; i < elements.size(); ++i) {
    launch.operands.push_back({static_cast<BufferId>(i), 0, elements[i], launch.kernel->buffers[i].written});
  }
  return launch;
}

/// y[i] = 2 * x[i + shift] for i below n.
Launch shifted(std::int64_t n, int shift, std::int64_t x_elements) {
  Builder builder("shifted");
  const Buffer x = builder.buffer("x", Element::F32, false);
  const Buffer y = builder.buffer("y", Element::F32, true);
  const Expr i = builder.points({n})[0];
  builder.store(y, i, builder.load(x, i + shift) * 2);
  return launch_of(builder, {x_elements, n});
}

TEST(KernelText, SaysWhatAKernelDoes) {
  EXPECT_EQ(to_string(*shifted(10, 1, 11).kernel),
            "kernel shifted group(1, 1, 1)\n"
            "  buffer b0 f32\n"
            "  buffer b1 f32 written\n"
            "  scalar s0 i32\n"
            "  let v0:i32 = GlobalId(0)\n"
            "  if Less(v0, s0)\n"
            "    let v1:f32 = b0[Add(v0, 1)]\n"
            "    b1[v0] = Mul(v1, 2:f32)\n");
}

TEST(KernelText, PrintsBothDialects) {
  const Launch launch = shifted(10, 1, 11);
  const std::string opencl = print(*launch.kernel, Dialect::OpenCl);
  const std::string cuda = print(*launch.kernel, Dialect::Cuda);
  EXPECT_NE(opencl.find("(int)get_global_id(0)"), std::string::npos) << opencl;
  EXPECT_NE(cuda.find("naru_global_id(grid, 0)"), std::string::npos) << cuda;
  EXPECT_NE(cuda.find("extern \"C\" __global__ void " + symbol_of(*launch.kernel)), std::string::npos) << cuda;
}

TEST(KernelBounds, AcceptsWhatStaysInside) { EXPECT_NO_THROW(check_bounds(shifted(10, 1, 11))); }

TEST(KernelBounds, KnowsTheLastStepOfALoop) {
  Builder builder("strides");
  const Buffer y = builder.buffer("y", Element::F32, true);
  builder.loop(0, 20, 8, [&](const Expr& i) { builder.store(y, i, splat(literal(Element::F32, 0), 4)); });
  EXPECT_NO_THROW(check_bounds(launch_of(builder, {20})));
}

TEST(KernelBounds, NamesTheAccessThatMayLeave) {
  try {
    check_bounds(shifted(10, 1, 10));
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("kernel shifted: buffer 0 of 10 elements is touched at [1, 10]"), std::string::npos)
        << error.what();
  }
}

TEST(KernelInterpreter, ItemsOfAGroupMeetAtBarriers) {
  // Each item stores its value, then reads its neighbour's.
  Builder builder("rotate");
  const Buffer x = builder.buffer("x", Element::I32, false);
  const Buffer y = builder.buffer("y", Element::I32, true);
  const Array shared = builder.array(Element::I32, 8, true);
  const auto [group, item] = builder.groups(2, 8);
  const Expr own = builder.let(group * 8 + item);
  builder.store(shared, item, builder.load(x, own));
  builder.barrier();
  builder.store(y, own, builder.load(shared, (item + 1) % 8));
  const Launch launch = launch_of(builder, {16, 16});
  check_bounds(launch);
  std::vector<std::int32_t> from(16), to(16);
  for (int i = 0; i < 16; ++i) from[static_cast<std::size_t>(i)] = i;
  std::byte* const operands[] = {reinterpret_cast<std::byte*>(from.data()), reinterpret_cast<std::byte*>(to.data())};
  interpret(launch, operands);
  EXPECT_EQ(to, (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7, 0, 9, 10, 11, 12, 13, 14, 15, 8}));
}

}  // namespace
}  // namespace naru::kernel
