// The steps before a text is cut, and how a tokenizer.json names them.
#include "runtime/text/normalizer.h"

#include <memory>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/pattern_matcher.h"

namespace naru::text {
namespace {

constexpr int kMaxNesting = 16;
constexpr std::size_t kMaxGrownText = std::size_t{1}
                                      << 31;  ///< what replacements may make of a text

/// `text` with each code point replaced by what `map(value, out)` appends.
template <typename Map>
std::string map_code_points(std::string_view text, Map&& map) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t at = 0; at < text.size();) {
    const CodePoint point = read_code_point(text, at);
    map(point.value, text.substr(at, point.size), out);
    at += point.size;
  }
  return out;
}

void check_grown(const std::string& text) {
  if (text.size() > kMaxGrownText)
    fail(ErrorCode::OutOfMemory, "normalizer: the text grows over {} bytes", kMaxGrownText);
}

std::string without(CategorySet categories, std::string_view text) {
  return map_code_points(text,
                         [categories](char32_t value, std::string_view bytes, std::string& out) {
                           if ((category_bit(value) & categories) == 0) out += bytes;
                         });
}

bool is_chinese(char32_t value) {
  static constexpr std::pair<char32_t, char32_t> kBlocks[] = {
      {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
      {0x2B740, 0x2B81F}, {0x2B920, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  for (const auto& [low, high] : kBlocks) {
    if (value >= low && value <= high) return true;
  }
  return false;
}

/// Without control characters, and with white space as spaces.
std::string clean_text(std::string_view text) {
  static const CategorySet kControl = category_set("Cc") | category_set("Cf") | category_set("Co");
  return map_code_points(text, [](char32_t value, std::string_view bytes, std::string& out) {
    if (value == 0 || value == 0xFFFD) return;
    const bool space = is_white_space(value);
    const bool control =
        value != '\t' && value != '\n' && value != '\r' && (category_bit(value) & kControl) != 0;
    if (control) return;
    space ? out.push_back(' ') : void(out += bytes);
  });
}

std::string split_chinese(std::string_view text) {
  return map_code_points(text, [](char32_t value, std::string_view bytes, std::string& out) {
    const bool chinese = is_chinese(value);
    if (chinese) out += ' ';
    out += bytes;
    if (chinese) out += ' ';
  });
}

TextStep replace_pattern_step(std::string_view pattern, std::string to) {
  auto matcher = std::make_shared<const PatternMatcher>(pattern);
  return [matcher, to = std::move(to)](std::string text) {
    std::string out;
    std::size_t at = 0;
    for (const Span& span : matcher->find_all(text)) {
      out.append(text, at, span.begin - at);
      out += to;
      check_grown(out);
      at = span.end;
    }
    out.append(text, at, std::string::npos);
    return out;
  };
}

TextStep parse_replace(const Json& json) {
  const Json& pattern = object_at(json, "pattern");
  if (!member(pattern, "Regex").is_null())
    return replace_pattern_step(string_at(pattern, "Regex"), string_at(json, "content"));
  return replace_text_step(string_at(pattern, "String"), string_at(json, "content"));
}

TextStep parse_bert(const Json& json) {
  BertSteps steps;
  steps.clean_text = bool_or(json, "clean_text", true);
  steps.split_chinese = bool_or(json, "handle_chinese_chars", true);
  steps.lowercase = bool_or(json, "lowercase", true);
  steps.strip_accents = bool_or(json, "strip_accents", steps.lowercase);
  return bert_step(steps);
}

struct StepKind {
  std::string_view type;
  TextStep (*parse)(const Json&);
};

constexpr StepKind kStepKinds[] = {
    {"NFC", [](const Json&) { return normal_form_step(NormalForm::Nfc); }},
    {"NFD", [](const Json&) { return normal_form_step(NormalForm::Nfd); }},
    {"NFKC", [](const Json&) { return normal_form_step(NormalForm::Nfkc); }},
    {"NFKD", [](const Json&) { return normal_form_step(NormalForm::Nfkd); }},
    {"Lowercase",
     [](const Json&) -> TextStep { return [](std::string text) { return lower_case(text); }; }},
    {"StripAccents",
     [](const Json&) -> TextStep {
       return [](std::string text) { return without(category_set("M"), text); };
     }},
    {"Strip",
     [](const Json& json) {
       return strip_step(bool_or(json, "strip_left", true), bool_or(json, "strip_right", true));
     }},
    {"Prepend", [](const Json& json) { return prepend_step(string_at(json, "prepend")); }},
    {"Replace", parse_replace},
    {"BertNormalizer", parse_bert},
    {"Precompiled",
     [](const Json& json) {
       return charsmap_step(CharsMap(decode_base64(string_at(json, "precompiled_charsmap"))),
                            false);
     }},
};

void add_steps(const Json& json, Normalizer& normalizer, int depth) {
  if (depth > kMaxNesting)
    fail(ErrorCode::InvalidModel, "normalizer: got more than {} nested sequences", kMaxNesting);
  const std::string type = string_at(json, "type");
  if (type == "Sequence") {
    for (const Json& inner : array_at(json, "normalizers")) add_steps(inner, normalizer, depth + 1);
    return;
  }
  for (const StepKind& kind : kStepKinds) {
    if (kind.type == type) return normalizer.add(kind.parse(json));
  }
  fail(ErrorCode::Unsupported, "normalizer: the type {} is not supported", quote_name(type));
}

}  // namespace

std::string Normalizer::apply(std::string text) const {
  for (const TextStep& step : steps_) text = step(std::move(text));
  return text;
}

TextStep normal_form_step(NormalForm form) {
  return [form](std::string text) { return normalise(text, form); };
}

TextStep prepend_step(std::string prefix) {
  return [prefix = std::move(prefix)](std::string text) {
    return text.empty() ? text : prefix + text;
  };
}

TextStep replace_text_step(std::string from, std::string to) {
  return [from = std::move(from), to = std::move(to)](std::string text) {
    if (from.empty()) return text;
    std::string out;
    std::size_t at = 0;
    for (std::size_t found; (found = text.find(from, at)) != std::string::npos;
         at = found + from.size()) {
      out.append(text, at, found - at);
      out += to;
      check_grown(out);
    }
    out.append(text, at, std::string::npos);
    return out;
  };
}

TextStep strip_step(bool left, bool right) {
  return [left, right](std::string text) {
    std::size_t begin = 0, end = text.size();
    while (left && begin < end) {
      const CodePoint point = read_code_point(text, begin);
      if (!is_white_space(point.value)) break;
      begin += point.size;
    }
    while (right && end > begin) {
      const std::size_t previous = previous_code_point(text, end);
      if (!is_white_space(read_code_point(text, previous).value)) break;
      end = previous;
    }
    return text.substr(begin, end - begin);
  };
}

TextStep merge_spaces_step() {
  return [](std::string text) {
    std::string out;
    for (const char c : text) {
      if (c != ' ' || (!out.empty() && out.back() != ' ')) out += c;
    }
    while (!out.empty() && out.back() == ' ') out.pop_back();
    return out;
  };
}

TextStep charsmap_step(CharsMap map, bool longest) {
  auto shared = std::make_shared<const CharsMap>(std::move(map));
  return [shared, longest](std::string text) {
    return longest ? shared->apply_longest(text) : shared->apply_to_graphemes(text);
  };
}

TextStep bert_step(BertSteps steps) {
  return [steps](std::string text) {
    if (steps.clean_text) text = clean_text(text);
    if (steps.split_chinese) text = split_chinese(text);
    if (steps.strip_accents) text = without(category_set("Mn"), normalise(text, NormalForm::Nfd));
    if (steps.lowercase) text = lower_case(text);
    return text;
  };
}

Normalizer parse_normalizer(const Json& json) {
  Normalizer normalizer;
  if (!json.is_null()) add_steps(json, normalizer, 0);
  return normalizer;
}

}  // namespace naru::text
