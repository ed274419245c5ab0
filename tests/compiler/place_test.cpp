// Placement over unlike devices: order, pins, detours that are not worth their copies, choice by time.
#include "compiler/place.h"

#include <gtest/gtest.h>

#include <map>

#include "graph/fail.h"
#include "graph/infer.h"
#include "graph/text.h"

namespace naru {
namespace {

/// A device that says what it would do and does nothing.
class Sketch final : public Device {
 public:
  Sketch(std::string id, bool host_memory, std::map<std::string, double> seconds) : seconds_(std::move(seconds)) {
    info_.id = std::move(id);
    info_.host_memory = host_memory;
    info_.copy_bytes_per_s = 1e9;
  }
  const DeviceInfo& info() const override { return info_; }
  std::vector<Verdict> support(const Graph& graph) const override {
    std::vector<Verdict> verdicts;
    for (const Node& node : graph.nodes) {
      const auto found = seconds_.find(node.op->name);
      verdicts.push_back(found == seconds_.end() ? Verdict{Tier::None, "not here", 0} : Verdict{Tier::Native, "kernel", found->second});
    }
    return verdicts;
  }
  std::unique_ptr<Buffer> allocate(std::int64_t) override { return nothing<std::unique_ptr<Buffer>>(); }
  void write(const BufferView&, const std::byte*) override { nothing<int>(); }
  void read(const BufferView&, std::byte*) override { nothing<int>(); }
  std::shared_ptr<const Executable> compile(std::shared_ptr<const Graph>) override { return nothing<std::shared_ptr<const Executable>>(); }
  EventPtr submit(Submission) override { return nothing<EventPtr>(); }

 private:
  template <typename T>
  static T nothing() {
    fail(ErrorCode::Internal, "a sketch of a device: got work, expected questions only");
  }
  DeviceInfo info_;
  std::map<std::string, double> seconds_;
};

/// A chain of five nodes with 4 MB, 4 ms of a copy, between any two.
constexpr std::string_view kChain = R"(naru text 1
graph "chain" {
  input %x: f32[1000,1000]
  %a = Sin(%x) "first"
  %b = Tan(%a) "only_b_1"
  %c = Relu(%b) "middle"
  %d = Tan(%c) "only_b_2"
  %e = Sin(%d) "last"
  output %e
})";

struct Placed {
  std::string letters;  ///< devices of the nodes in order: the first letter of their ids, `h` for the host
  std::vector<std::string> reasons;
};

Placed place_chain(std::vector<Device*> devices, const PlaceOptions& options = {}) {
  Graph graph = parse_text(kChain);
  infer_types(graph);
  std::vector<Role> roles(graph.nodes.size(), Role::Placed);
  Placed placed;
  for (NodePlacement& node : place(graph, roles, devices, options)) {
    placed.letters += node.device == kHost ? 'h' : devices[static_cast<std::size_t>(node.device)]->info().id.front();
    placed.reasons.push_back(std::move(node.reason));
  }
  return placed;
}

constexpr double kMs = 1e-3;

TEST(Place, FirstDeviceInOrderUnlessItsWorkIsLessThanItsCopies) {
  Sketch b("b:0", true, {{"Sin", kMs}, {"Tan", kMs}, {"Relu", kMs}});
  {
    Sketch a("a:0", false, {{"Sin", 20 * kMs}, {"Relu", 20 * kMs}});
    EXPECT_EQ(place_chain({&a, &b}).letters, "ababa") << "dear work stays where the caller wants it, though b is faster";
  }
  Sketch a("a:0", false, {{"Sin", 20 * kMs}, {"Relu", 2 * kMs}});
  const Placed placed = place_chain({&a, &b});
  EXPECT_EQ(placed.letters, "abbba");
  EXPECT_EQ(placed.reasons[2], "kernel (1000 us here and 2000 us on a:0, where copies cost 8040 us more)");
  EXPECT_EQ(place_chain({&b, &a}).letters, "bbbbb");
}

TEST(Place, CopiesWithinTheHostAreFree) {
  Sketch a("a:0", true, {{"Sin", 20 * kMs}, {"Relu", 2 * kMs}});
  Sketch b("b:0", true, {{"Sin", kMs}, {"Tan", kMs}, {"Relu", kMs}});
  EXPECT_EQ(place_chain({&a, &b}).letters, "ababa");
}

TEST(Place, TimeDecidesWhereItIsAskedTo) {
  const PlaceOptions by_cost{.pins = {}, .by_cost = true};
  Sketch b("b:0", true, {{"Sin", kMs}, {"Tan", kMs}, {"Relu", kMs}});
  Sketch slow("a:0", false, {{"Sin", 20 * kMs}, {"Relu", 20 * kMs}});
  EXPECT_EQ(place_chain({&slow, &b}, by_cost).letters, "bbbbb");
  Sketch dear("b:0", true, {{"Sin", 50 * kMs}, {"Tan", kMs}, {"Relu", 50 * kMs}});
  EXPECT_EQ(place_chain({&slow, &dear}, by_cost).letters, "ababa");
  Sketch unknown("b:0", true, {{"Sin", 0}, {"Tan", kMs}, {"Relu", 0}});
  EXPECT_EQ(place_chain({&slow, &unknown}, by_cost).letters, "ababa") << "no estimate, no move";
}

TEST(Place, PinsHoldOrFail) {
  Sketch a("a:0", false, {{"Sin", kMs}, {"Relu", kMs}});
  Sketch b("b:0", true, {{"Sin", kMs}, {"Tan", kMs}, {"Relu", kMs}});
  EXPECT_EQ(place_chain({&a, &b}, {.pins = {{"mid*", "a"}, {"*", "b:0"}}}).letters, "bbabb");
  const auto code_of = [&](const Pin& pin) {
    try {
      place_chain({&a, &b}, {.pins = {pin}});
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::Internal;
  };
  EXPECT_EQ(code_of({"only_*", "a"}), ErrorCode::Unsupported);
  EXPECT_EQ(code_of({"first", "c"}), ErrorCode::InvalidArgument);
}

}  // namespace
}  // namespace naru
