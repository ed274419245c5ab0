// Lays out the rows of a step: tokens and positions, where sequences begin, their pages.
#include "runtime/generate/step_inputs.h"

#include <algorithm>
#include <bit>
#include <numeric>

namespace naru {
namespace {

/// An i32 tensor of zeros.
Tensor zeros(Shape shape) {
  Tensor tensor(DType::I32, std::move(shape));
  std::ranges::fill(tensor.as_mutable<std::int32_t>(), 0);
  return tensor;
}

/// Token at a position; guesses follow the tokens.
TokenId token_of(const Sequence& sequence, std::int64_t position) {
  const auto at = static_cast<std::size_t>(position), size = sequence.tokens.size();
  return at < size ? sequence.tokens[at] : sequence.draft[at - size];
}

}  // namespace

std::int64_t padding_pages(std::int64_t step_tokens, std::int64_t page_tokens) {
  std::int64_t most = 0;
  for (std::int64_t rows = 1; rows <= step_tokens; ++rows) most = std::max(most, padded_size(rows) - rows);
  return (most + page_tokens - 1) / page_tokens;
}

std::int64_t padded_size(std::int64_t size) {
  const auto wanted = static_cast<std::uint64_t>(std::max<std::int64_t>(size, 1));
  const int dropped = std::max(static_cast<int>(std::bit_width(wanted - 1)) - 4, 0);
  const std::uint64_t step = std::uint64_t{1} << dropped;
  return static_cast<std::int64_t>((wanted + step - 1) / step * step);
}

std::vector<Datum> step_inputs(std::span<const StepPart> parts, std::span<const std::int64_t> logit_rows,
                               const StepShape& shape) {
  std::int64_t rows = 0, wanted = 0;
  for (const StepPart& part : parts) rows += part.rows;
  for (const std::int64_t count : logit_rows) wanted += count;

  const std::int64_t padded = padded_size(rows), sequences = shape.sequences + 1;
  Tensor tokens = zeros({padded}), positions = zeros({padded});
  Tensor starts = zeros({sequences + 1}), lengths = zeros({sequences});
  Tensor pages = zeros({sequences, shape.pages_per_sequence}), logits = zeros({padded_size(wanted)});
  const auto token_at = tokens.as_mutable<std::int32_t>(), position_at = positions.as_mutable<std::int32_t>();
  const auto start_at = starts.as_mutable<std::int32_t>(), length_at = lengths.as_mutable<std::int32_t>();
  const auto page_at = pages.as_mutable<std::int32_t>(), logit_at = logits.as_mutable<std::int32_t>();

  std::size_t row = 0, logit = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const Sequence& sequence = *parts[i].sequence;
    for (std::int64_t r = 0; r < parts[i].rows; ++r, ++row) {
      const std::int64_t position = sequence.cached + r;
      token_at[row] = token_of(sequence, position);
      position_at[row] = static_cast<std::int32_t>(position);
    }
    start_at[i + 1] = static_cast<std::int32_t>(row);
    length_at[i] = static_cast<std::int32_t>(sequence.cached + parts[i].rows);
    std::ranges::copy(sequence.pages, page_at.begin() + static_cast<std::ptrdiff_t>(i) * shape.pages_per_sequence);
    for (std::int64_t k = logit_rows[i]; k > 0; --k) logit_at[logit++] = static_cast<std::int32_t>(row) - static_cast<std::int32_t>(k);
  }
  // Those that take no part have no rows; the last takes the padding, in pages of its own.
  std::fill(start_at.begin() + static_cast<std::ptrdiff_t>(parts.size()) + 1, start_at.end(), static_cast<std::int32_t>(row));
  start_at.back() = static_cast<std::int32_t>(padded);
  length_at.back() = static_cast<std::int32_t>(padded - rows);
  const auto spare = page_at.last(static_cast<std::size_t>(shape.pages_per_sequence)).first(static_cast<std::size_t>(shape.spare_pages));
  std::iota(spare.begin(), spare.end(), static_cast<std::int32_t>(shape.first_spare_page));
  std::vector<Datum> inputs;
  for (Tensor* tensor : {&tokens, &positions, &starts, &lengths, &pages, &logits}) inputs.emplace_back(std::move(*tensor));
  return inputs;
}

}  // namespace naru
