// How a text is cut into pieces that no token crosses: patterns with what becomes of their matches.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/text/json.h"
#include "runtime/text/pattern_matcher.h"

namespace naru::text {

/// A text and the pieces of it that count, in order.
struct Pieces {
  std::string text;
  std::vector<Span> spans;
  bool at_start = true;  ///< the text is the beginning of what the caller gave
};

/// One step. Immutable; many threads may use one.
class PieceStep {
 public:
  virtual ~PieceStep() = default;
  virtual void apply(Pieces& pieces) const = 0;
};

/// What becomes of a match.
enum class SplitBehavior : std::uint8_t {
  Removed,
  Isolated,
  MergedWithPrevious,
  MergedWithNext,
  Contiguous
};

/// Steps in order; none: the whole text is one piece.
class PreTokenizer {
 public:
  void add(std::unique_ptr<const PieceStep> step) { steps_.push_back(std::move(step)); }
  Pieces apply(std::string text, bool at_start) const;

 private:
  std::vector<std::unique_ptr<const PieceStep>> steps_;
};

/// Cuts at the matches of a pattern; `invert`: what lies between the matches counts as the match.
std::unique_ptr<const PieceStep> split_step(std::string_view pattern, SplitBehavior behavior,
                                            bool invert = false);

enum class PrependScheme : std::uint8_t { Never, First, Always };

/// Writes spaces as `mark`, puts one before the text, and cuts before each if `split`.
std::unique_ptr<const PieceStep> metaspace_step(std::string mark, PrependScheme scheme, bool split);

/// The patterns behind a GGUF file's "tokenizer.ggml.pre", each applied to the pieces of the one
/// before. @throws Error Unsupported for a name that naru does not know.
struct PreTokenizerPatterns {
  std::vector<std::string_view> patterns;
  bool whole_pieces = false;     ///< a piece that is a token needs no merges
  bool add_bos = false;          ///< BOS first unless the file says otherwise
  bool spaces_as_marks = false;  ///< spaces are written as U+2581 and symbols are characters
};
PreTokenizerPatterns known_patterns(std::string_view name);

/// GPT-2's pattern, which "ByteLevel" implies.
extern const std::string_view kGpt2Pattern;

/// The "pre_tokenizer" of a tokenizer.json, which may be null; `byte_level` is set when tokens are
/// bytes. @throws Error InvalidModel, Unsupported.
PreTokenizer parse_pre_tokenizer(const Json& json, bool& byte_level);

/// Reads "always", "first", "never" with the older member "add_prefix_space".
PrependScheme parse_prepend_scheme(const Json& json);

}  // namespace naru::text
