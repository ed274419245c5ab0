// ChatTemplate: a model's Jinja template from messages to a prompt.
#pragma once

#include <cstdint>
#include <ctime>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "naru/tokenizer.h"

namespace naru {

/// What a template may use up. Over one of them, rendering fails with Error InvalidModel.
struct TemplateLimits {
  std::int64_t steps = 1'000'000;  ///< nodes evaluated and items visited
  std::int64_t output_bytes = INT64_C(8) << 20;
  std::int64_t memory_bytes = INT64_C(64) << 20;  ///< of all values that it makes
  int depth = 64;                                 ///< macro calls inside each other
};

struct TemplateOptions {
  TemplateLimits limits;
  std::optional<std::time_t>
      now;  ///< what strftime_now() shows, as UTC; none: the clock, as local time
};

/// A rendered prompt, for Tokenizer::encode(text, {ParseSpecial::Yes, false, input}): the template
/// has written BOS where the model wants it. The bytes in `input` came from the variables, so
/// control tokens that they spell are text; the others were written by the template.
struct Prompt {
  std::string text;
  std::vector<TextRange> input;  ///< in order, not touching; what EncodeOptions::input wants
};

/// A parsed template. Immutable; many threads may render with one.
class ChatTemplate {
 public:
  /// Parses a Jinja template as the Hugging Face library writes them: blocks lose their line end
  /// and the white space before them.
  /// @throws Error InvalidModel, or Unsupported for statements, filters and tests that naru does
  /// not have; each names line and column.
  static ChatTemplate parse(std::string_view source);

  /// Renders with `variables`, a JSON object: "messages", "tools", "add_generation_prompt",
  /// "bos_token" and whatever else the template reads.
  /// @throws Error InvalidArgument when the variables are no JSON object, or when the template
  /// refuses them (raise_exception, a missing member); InvalidModel over the limits.
  Prompt render(std::string_view variables, const TemplateOptions& options = {}) const;

  struct Impl;
  explicit ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

 private:
  std::shared_ptr<const Impl> impl_;
};

}  // namespace naru
