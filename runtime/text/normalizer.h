// What is done to a text before it is cut: normal forms, case, replacements, prefixes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "runtime/text/charsmap.h"
#include "runtime/text/json.h"
#include "runtime/text/unicode.h"

namespace naru::text {

/// One step; takes and returns well-formed text.
using TextStep = std::function<std::string(std::string)>;

/// Steps in order. Immutable; many threads may use one.
class Normalizer {
 public:
  void add(TextStep step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  std::string apply(std::string text) const;

 private:
  std::vector<TextStep> steps_;
};

TextStep normal_form_step(NormalForm form);
TextStep prepend_step(std::string prefix);
TextStep replace_text_step(std::string from, std::string to);
TextStep strip_step(bool left, bool right);
TextStep merge_spaces_step();
TextStep charsmap_step(CharsMap map, bool longest);

struct BertSteps {
  bool clean_text = true, split_chinese = true, strip_accents = true, lowercase = true;
};
TextStep bert_step(BertSteps steps);

/// The "normalizer" of a tokenizer.json, which may be null.
/// @throws Error InvalidModel for malformed entries, Unsupported for kinds that naru does not have.
Normalizer parse_normalizer(const Json& json);

}  // namespace naru::text
