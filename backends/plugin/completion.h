// Completions: answers of submissions by callback, each awaited once, second answers found out.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>

#include "naru/naru_plugin.h"

namespace naru::plugin {

/// Tickets of submissions under way. A plug-in answers by ticket, so that a late or second answer meets
/// no memory that is gone. Thread-safe.
class Completions {
 public:
  static Completions& instance();

  std::uint64_t open();
  /// Blocks for at most `timeout_ns`; false after that. A ticket that is closed takes no more answers.
  bool wait(std::uint64_t ticket, std::int64_t timeout_ns, naru_code& code, std::string& text);
  void close(std::uint64_t ticket);
  /// How many answers came for tickets that were answered already.
  std::uint64_t surplus() const;

  /// The function that plug-ins call.
  static void answer(void* context, std::uint64_t ticket, naru_code code, const char* text) noexcept;

 private:
  struct Answer {
    bool done = false;
    naru_code code = NARU_OK;
    std::string text;
  };
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::uint64_t, Answer> answers_;
  std::uint64_t next_ = 1;
  std::uint64_t surplus_ = 0;
};

}  // namespace naru::plugin
