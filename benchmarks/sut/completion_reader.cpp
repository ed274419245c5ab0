// Reading streamed completions and chat completions, which differ in where the text stands.
#include "benchmarks/sut/completion_reader.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "graph/fail.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxErrorBytes = 400, kMaxShownBytes = 80;

/// A part of an object; null where there is none of this kind.
const Json* part(const Json& json, const char* name) {
  if (!json.is_object()) return nullptr;
  const auto found = json.find(name);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

std::int64_t count_of(const Json& json, const char* name) {
  const Json* value = part(json, name);
  if (value == nullptr || !value->is_number_integer()) return -1;
  return std::clamp<std::int64_t>(value->get<std::int64_t>(), -1, 1 << 30);
}

std::size_t text_size(const Json& json, const char* name) {
  const Json* value = part(json, name);
  return value != nullptr && value->is_string() ? value->get_ref<const std::string&>().size() : 0;
}

std::string message_of(const Json& error) {
  const Json* message = part(error, "message");
  const Json& shown = message == nullptr ? error : *message;
  const std::string text = shown.is_string() ? shown.get<std::string>() : shown.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.substr(0, kMaxErrorBytes);
}

/// Bytes of text that a choice brings: in "text", or in "delta" of a chat.
std::size_t visible_size(const Json& choice) {
  std::size_t bytes = text_size(choice, "text");
  const Json* delta = part(choice, "delta");
  if (delta == nullptr) return bytes;
  for (const char* name : {"content", "reasoning_content", "reasoning"}) bytes += text_size(*delta, name);
  return bytes;
}

}  // namespace

bool CompletionReader::data(long status, std::string_view bytes) {
  if (over_) return true;
  first_bytes_ += bytes.substr(0, kMaxErrorBytes - first_bytes_.size());
  if (status != 200) return true;
  if (!events_.add(bytes)) refuse(Reason::BadStream, "an event is longer than any answer");
  while (!over_) {
    const std::optional<EventStream::Event> event = events_.next();
    if (!event) break;
    take(*event);
  }
  return true;
}

void CompletionReader::take(const EventStream::Event& event) {
  any_event_ = true;
  if (event.data == "[DONE]") return complete();
  const Json json = Json::parse(event.data, nullptr, false);
  if (!json.is_object()) return refuse(Reason::BadStream, "an event is no JSON object: " + event.data.substr(0, kMaxShownBytes));
  if (const Json* error = part(json, "error")) return refuse(Reason::StreamError, message_of(*error));
  if (event.name == "error") return refuse(Reason::StreamError, message_of(json));
  take_output(json);
}

void CompletionReader::take_output(const Json& json) {
  const Json *choices = part(json, "choices"), *usage = part(json, "usage");
  const std::int64_t before = std::max<std::int64_t>(claimed_, 0);
  if (usage != nullptr) take_usage(*usage);
  // llama.cpp counts in a part of its own, where asked to.
  if (const Json* timings = part(json, "timings")) claimed_ = std::max(claimed_, count_of(*timings, "predicted_n"));
  if (over_ || choices == nullptr) return;
  if (!choices->is_array()) return refuse(Reason::BadStream, "'choices' is no list");
  std::size_t bytes = 0;
  for (const Json& choice : *choices) bytes += visible_size(choice);
  if (bytes == 0) return;
  text_bytes_ += static_cast<std::int64_t>(bytes);
  sink_.chunk(request_, std::max<std::int64_t>(claimed_, 0) - before);
}

void CompletionReader::take_usage(const Json& usage) {
  const std::int64_t tokens = count_of(usage, "completion_tokens");
  if (tokens >= 0 && tokens < claimed_) return refuse(Reason::UsageMismatch, fmt::format("usage fell from {} to {} tokens", claimed_, tokens));
  claimed_ = std::max(claimed_, tokens);
  prompt_ = std::max(prompt_, count_of(usage, "prompt_tokens"));
  if (const Json* details = part(usage, "prompt_tokens_details")) cached_ = std::max(cached_, count_of(*details, "cached_tokens"));
}

void CompletionReader::complete() {
  // A token has at least one byte, but for one that ends the answer.
  if (claimed_ > text_bytes_ + 1) {
    return refuse(Reason::UsageMismatch, fmt::format("usage claims {} tokens in {} bytes of text", claimed_, text_bytes_));
  }
  over_ = true;
  if (prompt_ >= 0) sink_.prompted(request_, prompt_, cached_);
  if (claimed_ >= 0) sink_.claimed(request_, claimed_);
  sink_.complete(request_);
}

void CompletionReader::refuse(Reason reason, const std::string& detail) {
  if (over_) return;
  over_ = true;
  sink_.failed(request_, reason, detail);
}

void CompletionReader::end(const HttpEnd& end) {
  if (end.status != 200 && end.status != 0) return refuse(Reason::HttpStatus, fmt::format("status {}: {}", end.status, first_bytes_));
  if (end.reason != Reason::None) return refuse(end.reason, end.detail);
  if (!any_event_ && !first_bytes_.empty()) return refuse(Reason::BadStream, "the answer is no event stream: " + first_bytes_.substr(0, kMaxShownBytes));
  refuse(Reason::EarlyClose, "the stream ended without [DONE]");
}

}  // namespace naru::bench
