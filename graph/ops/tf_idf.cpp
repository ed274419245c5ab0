// TfIdfVectorizer: counts of known n-grams in sequences of integers or strings.
#include "graph/ops/tf_idf.h"

#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/movement.h"
#include "graph/ops/type_set.h"
#include "graph/scalar.h"

namespace naru {
namespace {

[[noreturn]] void reject(const Node& node, const std::string& message) {
  fail(ErrorCode::InvalidModel, "{}: {}", node.label(), message);
}

Weighting weighting_of(const Node& node) {
  const std::string& mode = node.attr_string("mode");
  if (mode == "TF") return Weighting::Tf;
  if (mode == "IDF") return Weighting::Idf;
  if (mode == "TFIDF") return Weighting::TfIdf;
  reject(node, fmt::format("mode: got '{}', expected TF, IDF or TFIDF", mode));
}

/// The pool's tokens; those of strings are numbered in `words`.
std::vector<std::int64_t> pool_tokens(const Node& node, std::map<std::string, std::int64_t>& words) {
  if (node.has("pool_int64s")) return node.attr_ints("pool_int64s");
  std::vector<std::int64_t> tokens;
  for (const std::string& word : node.attr_strings("pool_strings")) {
    tokens.push_back(words.emplace(word, static_cast<std::int64_t>(words.size())).first->second);
  }
  return tokens;
}

}  // namespace

Grams grams_of(const Node& node) {
  Grams grams;
  grams.weighting = weighting_of(node);
  grams.shortest = node.attr_int("min_gram_length");
  grams.longest = node.attr_int("max_gram_length");
  grams.most_skips = node.attr_int("max_skip_count");
  if (grams.shortest < 1 || grams.longest < grams.shortest || grams.most_skips < 0) {
    reject(node, fmt::format("lengths: got {} to {} and {} skips, expected 1 <= min <= max and skips >= 0",
                             grams.shortest, grams.longest, grams.most_skips));
  }
  if (node.has("pool_int64s") == node.has("pool_strings")) {
    reject(node, "pool: expected one of pool_int64s and pool_strings");
  }
  const std::vector<std::int64_t> pool = pool_tokens(node, grams.words);
  const auto size = static_cast<std::int64_t>(pool.size());
  const std::vector<std::int64_t>& starts = node.attr_ints("ngram_counts");
  const std::vector<std::int64_t>& columns = node.attr_ints("ngram_indexes");
  std::size_t gram = 0;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const auto length = static_cast<std::int64_t>(i) + 1;
    const std::int64_t end = i + 1 < starts.size() ? starts[i + 1] : size;
    if (starts[i] < 0 || starts[i] > end || end > size) {
      reject(node, fmt::format("ngram_counts: got {} before {}, expected rising places in a pool of {}",
                               starts[i], end, size));
    }
    for (std::int64_t at = starts[i]; at + length <= end; at += length, ++gram) {
      if (gram >= columns.size()) reject(node, fmt::format("ngram_indexes: got {}, expected one per n-gram", columns.size()));
      if (length < grams.shortest || length > grams.longest) continue;
      grams.columns[{pool.begin() + at, pool.begin() + at + length}] = columns[gram];
    }
  }
  for (std::int64_t column : columns) {
    if (column < 0 || column == INT64_MAX) reject(node, fmt::format("ngram_indexes: got {}, expected >= 0", column));
    grams.width = std::max(grams.width, column + 1);
  }
  // Longer ones cannot be in the pool.
  grams.longest = std::min(grams.longest, static_cast<std::int64_t>(starts.size()));
  const bool weighs = grams.weighting != Weighting::Tf && node.has("weights");
  if (weighs && static_cast<std::int64_t>(node.attr_floats("weights").size()) < grams.width) {
    reject(node, fmt::format("weights: got {}, expected {}", node.attr_floats("weights").size(), grams.width));
  }
  return grams;
}

namespace {

void infer_tf_idf(InferContext& ctx) {
  require_type(ctx, 0, TypeSet{DType::I32, DType::I64, DType::String});
  require_rank(ctx, 0, 0, 2);
  const Grams grams = grams_of(ctx.node);
  ctx.require(ctx.dtype(0) == DType::Undefined || (ctx.dtype(0) == DType::String) == ctx.node.has("pool_strings"),
              "input 0: got element type {}, expected that of the pool", to_string(ctx.dtype(0)));
  const SymShape* shape = ctx.shape(0);
  if (shape == nullptr) return ctx.set_output(0, DType::F32);
  if (shape->size() < 2) return ctx.set_output(0, DType::F32, {grams.width});
  ctx.set_output(0, DType::F32, {(*shape)[0], grams.width});
}

std::vector<std::int64_t> input_tokens(const Tensor& x, const Grams& grams) {
  if (x.dtype() != DType::String) return to_i64_vector(x);
  std::vector<std::int64_t> tokens;
  for (const std::string& word : x.strings()) {
    const auto found = grams.words.find(word);
    tokens.push_back(found == grams.words.end() ? -1 : found->second);
  }
  return tokens;
}

/// Adds the n-grams of `length` whose tokens stand `step` apart.
void count_grams(std::span<const std::int64_t> row, const Grams& grams, std::int64_t length, std::int64_t step,
                 std::span<double> counts) {
  const auto size = static_cast<std::int64_t>(row.size());
  std::vector<std::int64_t> gram(static_cast<std::size_t>(length));
  for (std::int64_t first = 0; first + (length - 1) * step < size; ++first) {
    for (std::int64_t i = 0; i < length; ++i) {
      gram[static_cast<std::size_t>(i)] = row[static_cast<std::size_t>(first + i * step)];
    }
    const auto found = grams.columns.find(gram);
    if (found != grams.columns.end()) counts[static_cast<std::size_t>(found->second)] += 1;
  }
}

void count_row(std::span<const std::int64_t> row, const Grams& grams, std::span<double> counts) {
  const auto size = static_cast<std::int64_t>(row.size());
  // Beyond the row's length neither n-grams nor skips find anything.
  for (std::int64_t length = grams.shortest; length <= std::min(grams.longest, size); ++length) {
    const std::int64_t steps = length == 1 ? 1 : std::min(grams.most_skips, size) + 1;
    for (std::int64_t step = 1; step <= steps; ++step) {
      if (length > 1 && step > (size - 1) / (length - 1)) break;
      count_grams(row, grams, length, step, counts);
    }
  }
}

void reference_tf_idf(ReferenceContext& ctx) {
  const Grams grams = grams_of(ctx.node);
  const Tensor& x = ctx.input(0);
  const std::vector<std::int64_t> tokens = input_tokens(x, grams);
  Tensor& out = ctx.output(0);
  std::vector<double> values(static_cast<std::size_t>(out.numel()), 0);
  const std::int64_t rows = x.rank() == 2 ? x.shape()[0] : 1;
  const auto width = static_cast<std::size_t>(grams.width);
  for (std::int64_t r = 0; r < rows; ++r) {
    const auto length = tokens.size() / static_cast<std::size_t>(rows);
    const auto at = static_cast<std::size_t>(r);
    count_row(std::span(tokens).subspan(at * length, length), grams, std::span(values).subspan(at * width, width));
  }
  if (grams.weighting != Weighting::Tf) {
    const bool weighs = ctx.node.has("weights");
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (grams.weighting == Weighting::Idf) values[i] = values[i] > 0 ? 1 : 0;
      if (weighs) values[i] *= static_cast<double>(ctx.node.attr_floats("weights")[i % width]);
    }
  }
  from_wide<double>(values, out);
}

}  // namespace

void define_tf_idf(std::vector<OpDef>& ops) {
  const auto required = [](std::string name, AttrKind kind, std::string doc) {
    return AttrSpec{std::move(name), kind, std::move(doc), std::nullopt, true};
  };
  ops.push_back({
      .name = "TfIdfVectorizer",
      .domain = "",
      .since_version = 9,
      .doc = "Counts the n-grams of a pool in each row, with skips, and weighs the counts.",
      .source = "ONNX TfIdfVectorizer-9; weights stand by output column, as in ONNX Runtime",
      .inputs = {{"X", "i32|i64|string, [count] or [rows, count]"}},
      .outputs = {{"Y", "f32, [columns] or [rows, columns]"}},
      .attributes = {required("mode", AttrKind::String, "TF, IDF or TFIDF"),
                     required("min_gram_length", AttrKind::Int, "shortest n-gram, >= 1"),
                     required("max_gram_length", AttrKind::Int, "longest n-gram"),
                     required("max_skip_count", AttrKind::Int, "most tokens left out between two"),
                     required("ngram_counts", AttrKind::Ints, "where 1-grams, 2-grams, ... start in the pool"),
                     required("ngram_indexes", AttrKind::Ints, "output column of each n-gram"),
                     {"pool_int64s", AttrKind::Ints, "n-grams of integers"},
                     {"pool_strings", AttrKind::Strings, "n-grams of strings"},
                     {"weights", AttrKind::Floats, "one a column; absent: 1"}},
      .infer = infer_tf_idf,
      .reference = reference_tf_idf,
  });
}

}  // namespace naru
