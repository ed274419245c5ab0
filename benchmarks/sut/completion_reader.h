// CompletionReader: one streamed answer of an OpenAI-compatible endpoint, held against its own words.
#pragma once

#include "benchmarks/http/client.h"
#include "benchmarks/http/event_stream.h"
#include "benchmarks/sut/system.h"

namespace naru::bench {

/// Reports what becomes visible to `sink`, and every break of the protocol with its reason. Text that
/// is empty is no token.
class CompletionReader : public HttpReceiver {
 public:
  CompletionReader(std::uint32_t request, Sink& sink) : request_(request), sink_(sink) {}
  bool data(long status, std::string_view bytes) override;
  void end(const HttpEnd& end) override;

 private:
  void take(const EventStream::Event& event);
  void take_output(const nlohmann::json& json);
  void take_usage(const nlohmann::json& usage);
  void complete();
  void refuse(Reason reason, const std::string& detail);

  std::uint32_t request_;
  Sink& sink_;
  EventStream events_;
  std::string first_bytes_;        ///< for messages
  std::int64_t claimed_ = -1;      ///< output tokens, by the server's latest word
  std::int64_t prompt_ = -1, cached_ = 0;
  std::int64_t text_bytes_ = 0;
  bool any_event_ = false, over_ = false;
};

}  // namespace naru::bench
