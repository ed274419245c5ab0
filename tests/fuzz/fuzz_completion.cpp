// Streamed completions of an endpoint: the first byte cuts the rest into pieces, as a network does.
#include <nlohmann/json.hpp>
#include <string>

#include "benchmarks/sut/completion_reader.h"
#include "tests/fuzz/fuzz_support.h"

namespace {

using naru::bench::Reason;

/// Every request ends exactly once, and counts make sense.
class Checker : public naru::bench::Sink {
 public:
  void tokens(std::uint32_t, std::span<const std::int32_t>) override { naru::fuzz::finding("token ids out of a text stream"); }
  void chunk(std::uint32_t, std::int64_t count) override { check(count >= 0, "a chunk of negative length"); }
  void claimed(std::uint32_t, std::int64_t count) override { check(count >= 0, "a negative claim"); }
  void prompted(std::uint32_t, std::int64_t count, std::int64_t cached) override { check(count >= 0 && cached >= 0, "a negative prompt"); }
  void complete(std::uint32_t) override { end(); }
  void failed(std::uint32_t, Reason reason, const std::string& detail) override {
    check(reason != Reason::None, "a failure without a reason");
    check(detail.size() < 2000, "a detail as long as the answer");
    end();
  }
  bool ended() const { return ended_; }

 private:
  void check(bool holds, const char* what) const {
    if (!holds || ended_) naru::fuzz::finding(holds ? "a report after the end" : what);
  }
  void end() {
    check(true, "");
    ended_ = true;
  }
  bool ended_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::size_t step = 1 + data[0] % 64;
  naru::fuzz::accepts([&] {
    Checker sink;
    naru::bench::CompletionReader reader(0, sink);
    for (std::size_t at = 0; at < bytes.size(); at += step) reader.data(200, bytes.substr(at, step));
    reader.end({Reason::None, 200, ""});
    if (!sink.ended()) naru::fuzz::finding("a request without an end");
  });
  return 0;
}
