// The steps that cut a text into pieces, and how a tokenizer.json names them.
#include "runtime/text/pre_tokenizer.h"

#include <array>

#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/unicode.h"

namespace naru::text {
namespace {

constexpr int kMaxNesting = 16;

struct Part {
  Span span;
  bool match = false;
};

/// Joins parts to their neighbours as the behaviour wants; parts lie side by side.
std::vector<Span> arrange(const std::vector<Part>& parts, SplitBehavior behavior) {
  std::vector<Span> out;
  bool open_match = false;  // the last span ends in (Contiguous: is of) a match
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& [span, match] = parts[i];
    bool join = false;
    switch (behavior) {
      case SplitBehavior::Removed:
        if (match) continue;
        break;
      case SplitBehavior::Isolated: break;
      case SplitBehavior::Contiguous: join = i > 0 && open_match == match; break;
      case SplitBehavior::MergedWithPrevious: join = match && !open_match && i > 0; break;
      // A match joins the part after it, unless that is a match too.
      case SplitBehavior::MergedWithNext: join = !match && open_match && i > 0; break;
    }
    join ? void(out.back().end = span.end) : out.push_back(span);
    open_match = match;
  }
  return out;
}

class Split : public PieceStep {
 public:
  Split(std::string_view pattern, SplitBehavior behavior, bool invert)
      : matcher_(pattern), behavior_(behavior), invert_(invert) {}

  void apply(Pieces& pieces) const override {
    std::vector<Span> out;
    for (const Span& piece : pieces.spans) {
      const std::string_view text =
          std::string_view(pieces.text).substr(piece.begin, piece.end - piece.begin);
      for (const Span& span : arrange(parts(text), behavior_)) {
        out.push_back({piece.begin + span.begin, piece.begin + span.end});
      }
    }
    pieces.spans = std::move(out);
  }

 private:
  std::vector<Part> parts(std::string_view text) const {
    std::vector<Part> parts;
    std::size_t at = 0;
    for (const Span& match : matcher_.find_all(text)) {
      if (match.begin > at) parts.push_back({{at, match.begin}, invert_});
      parts.push_back({match, !invert_});
      at = match.end;
    }
    if (at < text.size()) parts.push_back({{at, text.size()}, invert_});
    return parts;
  }

  PatternMatcher matcher_;
  SplitBehavior behavior_;
  bool invert_;
};

/// Rewrites each piece; `map(index, piece)` returns the new text of one.
template <typename Map>
void rewrite(Pieces& pieces, Map&& map) {
  Pieces out;
  out.at_start = pieces.at_start;
  for (std::size_t i = 0; i < pieces.spans.size(); ++i) {
    const Span& span = pieces.spans[i];
    const std::string text =
        map(i, std::string_view(pieces.text).substr(span.begin, span.end - span.begin));
    out.spans.push_back({out.text.size(), out.text.size() + text.size()});
    out.text += text;
  }
  pieces = std::move(out);
}

class Metaspace : public PieceStep {
 public:
  Metaspace(std::string mark, PrependScheme scheme, bool split)
      : mark_(std::move(mark)), scheme_(scheme), split_(split) {}

  void apply(Pieces& pieces) const override {
    rewrite(pieces, [&](std::size_t index, std::string_view piece) {
      std::string text;
      for (const char c : piece) c == ' ' ? void(text += mark_) : text.push_back(c);
      const bool prepend = scheme_ == PrependScheme::Always ||
                           (scheme_ == PrependScheme::First && pieces.at_start && index == 0);
      return prepend && !text.starts_with(mark_) ? mark_ + text : text;
    });
    if (!split_) return;
    std::vector<Span> out;
    for (const Span& piece : pieces.spans) cut(pieces.text, piece, out);
    pieces.spans = std::move(out);
  }

 private:
  /// Cuts before each mark.
  void cut(const std::string& text, const Span& piece, std::vector<Span>& out) const {
    std::size_t begin = piece.begin;
    for (std::size_t at = begin; at < piece.end;) {
      const std::size_t next = std::min(text.find(mark_, at + 1), piece.end);
      out.push_back({begin, next});
      begin = at = next;
    }
  }

  std::string mark_;
  PrependScheme scheme_;
  bool split_;
};

/// A space before each piece that has none.
class PrefixSpace : public PieceStep {
 public:
  void apply(Pieces& pieces) const override {
    rewrite(pieces, [](std::size_t, std::string_view piece) {
      std::string text(piece.starts_with(' ') ? "" : " ");
      text += piece;
      return text;
    });
  }
};

SplitBehavior parse_behavior(const Json& json) {
  static constexpr std::pair<std::string_view, SplitBehavior> kBehaviors[] = {
      {"Removed", SplitBehavior::Removed},
      {"Isolated", SplitBehavior::Isolated},
      {"MergedWithPrevious", SplitBehavior::MergedWithPrevious},
      {"MergedWithNext", SplitBehavior::MergedWithNext},
      {"Contiguous", SplitBehavior::Contiguous}};
  const std::string name = string_or(json, "behavior", "Isolated");
  for (const auto& [known, behavior] : kBehaviors) {
    if (known == name) return behavior;
  }
  fail(ErrorCode::InvalidModel, "pre_tokenizer: got the behavior {}", quote_name(name));
}

/// `text` as a pattern that matches just it.
std::string literal_pattern(std::string_view text) {
  std::string pattern;
  for (const char c : text) {
    if (std::string_view("\\^$.|?*+()[]{}&-#").find(c) != std::string_view::npos) pattern += '\\';
    pattern += c;
  }
  return pattern;
}

class Builder {
 public:
  Builder(PreTokenizer& target, bool& byte_level) : target_(target), byte_level_(byte_level) {}

  void add(const Json& json, int depth) {
    if (depth > kMaxNesting)
      fail(ErrorCode::InvalidModel, "pre_tokenizer: got more than {} nested sequences",
           kMaxNesting);
    const std::string type = string_at(json, "type");
    if (type == "Sequence") {
      for (const Json& inner : array_at(json, "pretokenizers")) add(inner, depth + 1);
      return;
    }
    for (const Kind& kind : kKinds) {
      if (kind.type == type) return (this->*kind.build)(json);
    }
    fail(ErrorCode::Unsupported, "pre_tokenizer: the type {} is not supported", quote_name(type));
  }

 private:
  struct Kind {
    std::string_view type;
    void (Builder::*build)(const Json&);
  };
  static const std::array<Kind, 9> kKinds;

  void split(std::string_view pattern, SplitBehavior behavior, bool invert = false) {
    target_.add(split_step(pattern, behavior, invert));
  }

  void byte_level(const Json& json) {
    byte_level_ = true;
    if (bool_or(json, "add_prefix_space", true)) target_.add(std::make_unique<PrefixSpace>());
    if (bool_or(json, "use_regex", true)) split(kGpt2Pattern, SplitBehavior::Isolated);
  }

  void split_by_pattern(const Json& json) {
    const Json& pattern = object_at(json, "pattern");
    const Json& text = member(pattern, "String");
    const std::string expression =
        text.is_null() ? string_at(pattern, "Regex") : literal_pattern(as_string(text, "String"));
    split(expression, parse_behavior(json), bool_or(json, "invert", false));
  }

  void metaspace(const Json& json) {
    const std::string mark = string_or(json, "replacement", "\u2581");
    if (mark.empty())
      fail(ErrorCode::InvalidModel, "pre_tokenizer: got an empty replacement of spaces");
    target_.add(metaspace_step(mark, parse_prepend_scheme(json), bool_or(json, "split", true)));
  }

  void whitespace(const Json&) {
    // Words as the regex crate of Rust has them: alphabetic, marks, digits and joiners.
    constexpr std::string_view kWord =
        R"(\p{L}\p{M}\p{Nd}\p{Nl}\p{Pc}\x{200C}\x{200D}\x{24B6}-\x{24E9}\x{1F130}-\x{1F149}\x{1F150}-\x{1F169}\x{1F170}-\x{1F189})";
    split(fmt::format("[{}]+|[^{}\\s]+", kWord, kWord), SplitBehavior::Removed, true);
  }
  void whitespace_split(const Json&) { split(R"(\s)", SplitBehavior::Removed); }
  void bert(const Json&) {
    split(R"(\s)", SplitBehavior::Removed);
    split(kPunctuation, SplitBehavior::Isolated);
  }
  void punctuation(const Json& json) { split(kPunctuation, parse_behavior(json)); }
  void digits(const Json& json) {
    split(R"(\p{N})", bool_or(json, "individual_digits", false) ? SplitBehavior::Isolated
                                                                : SplitBehavior::Contiguous);
  }
  void delimiter(const Json& json) {
    split(literal_pattern(string_at(json, "delimiter")), SplitBehavior::Removed);
  }

  static constexpr std::string_view kPunctuation = R"([!-/:-@\[-`{-~\p{P}])";

  PreTokenizer& target_;
  bool& byte_level_;
};

const std::array<Builder::Kind, 9> Builder::kKinds = {{
    {"ByteLevel", &Builder::byte_level},
    {"Split", &Builder::split_by_pattern},
    {"Metaspace", &Builder::metaspace},
    {"Whitespace", &Builder::whitespace},
    {"WhitespaceSplit", &Builder::whitespace_split},
    {"BertPreTokenizer", &Builder::bert},
    {"Punctuation", &Builder::punctuation},
    {"Digits", &Builder::digits},
    {"CharDelimiterSplit", &Builder::delimiter},
}};

}  // namespace

Pieces PreTokenizer::apply(std::string text, bool at_start) const {
  Pieces pieces{std::move(text), {}, at_start};
  if (pieces.text.empty()) return pieces;
  pieces.spans.push_back({0, pieces.text.size()});
  for (const auto& step : steps_) step->apply(pieces);
  return pieces;
}

std::unique_ptr<const PieceStep> split_step(std::string_view pattern, SplitBehavior behavior,
                                            bool invert) {
  return std::make_unique<Split>(pattern, behavior, invert);
}

std::unique_ptr<const PieceStep> metaspace_step(std::string mark, PrependScheme scheme,
                                                bool split) {
  return std::make_unique<Metaspace>(std::move(mark), scheme, split);
}

PrependScheme parse_prepend_scheme(const Json& json) {
  const bool add_prefix_space = bool_or(json, "add_prefix_space", true);
  const std::string scheme =
      string_or(json, "prepend_scheme", add_prefix_space ? "always" : "never");
  if (scheme == "always") return PrependScheme::Always;
  if (scheme == "first") return PrependScheme::First;
  if (scheme == "never") return PrependScheme::Never;
  fail(ErrorCode::InvalidModel, "prepend_scheme: got {}, expected always, first or never",
       quote_name(scheme));
}

PreTokenizer parse_pre_tokenizer(const Json& json, bool& byte_level) {
  PreTokenizer result;
  if (!json.is_null()) Builder(result, byte_level).add(json, 0);
  return result;
}

}  // namespace naru::text
