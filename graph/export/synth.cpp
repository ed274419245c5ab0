// Weights are blocks drawn from a pool of encoded normal numbers: hundreds of gigabytes come as fast as the
// disk takes them.
#include "graph/export/synth.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <numbers>

#include "graph/block/block_format.h"
#include "graph/export/gguf_writer.h"
#include "graph/fail.h"
#include "graph/scalar.h"

namespace naru {
namespace {

constexpr std::int64_t kPoolElements = INT64_C(1) << 18;
constexpr std::int64_t kPieceElements = 2048;  // a multiple of every block
constexpr std::size_t kBufferBytes = std::size_t{1} << 22;

/// splitmix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
  }
  double uniform() { return (static_cast<double>(next() >> 11) + 0.5) * 0x1.0p-53; }
  float normal() {
    return static_cast<float>(std::sqrt(-2 * std::log(uniform())) * std::cos(2 * std::numbers::pi * uniform()));
  }

 private:
  std::uint64_t state_;
};

/// Encoded pieces of normal numbers of one type and deviation.
std::vector<std::byte> make_pool(DType type, float deviation, Random& random) {
  std::vector<float> values(static_cast<std::size_t>(kPoolElements));
  for (float& value : values) value = deviation * random.normal();
  std::vector<std::byte> pool(static_cast<std::size_t>(storage_bytes(type, kPoolElements)));
  if (is_block(type)) {
    quantize_blocks(type, values.data(), kPoolElements / dtype_info(type).block_elements, pool.data());
  } else {
    for (std::int64_t i = 0; i < kPoolElements; ++i) {
      store_f64(type, pool.data(), i, static_cast<double>(values[static_cast<std::size_t>(i)]));
    }
  }
  return pool;
}

/// One tensor to write: normal numbers, or all ones where `deviation` is 0.
struct Plan {
  std::string name;
  DType type;
  Shape shape;
  float deviation = 0;
};

class Synthesiser {
 public:
  Synthesiser(const ModelShape& shape, const WeightMix& mix, std::uint64_t seed)
      : shape_(shape), mix_(mix), random_(seed) {}

  std::vector<Plan> plans() const;
  void write(const Plan& plan, GgufWriter& writer);

 private:
  void matrix(std::vector<Plan>& plans, std::string name, std::int64_t rows, std::int64_t columns) const;
  static void norm(std::vector<Plan>& plans, std::string name, std::int64_t size) {
    plans.push_back({std::move(name), DType::F32, {size}});
  }
  void write_random(const Plan& plan, GgufWriter& writer);

  const ModelShape& shape_;
  const WeightMix& mix_;
  Random random_;
  std::map<std::pair<DType, float>, std::vector<std::byte>> pools_;
};

/// Deviations keep the size of what flows through.
void Synthesiser::matrix(std::vector<Plan>& plans, std::string name, std::int64_t rows,
                         std::int64_t columns) const {
  const Shape shape{rows, columns};
  const DType type = mixed_type(mix_, name, shape, shape_.layers, shape_.tied).value_or(DType::F32);
  plans.push_back({std::move(name), type, shape, 1 / std::sqrt(static_cast<float>(columns))});
}

std::vector<Plan> Synthesiser::plans() const {
  const ModelShape& s = shape_;
  std::vector<Plan> plans;
  matrix(plans, "token_embd.weight", s.vocab, s.hidden);
  for (std::int64_t layer = 0; layer < s.layers; ++layer) {
    const std::string block = fmt::format("blk.{}.", layer);
    norm(plans, block + "attn_norm.weight", s.hidden);
    matrix(plans, block + "attn_q.weight", s.heads * s.head_size, s.hidden);
    matrix(plans, block + "attn_k.weight", s.kv_heads * s.head_size, s.hidden);
    matrix(plans, block + "attn_v.weight", s.kv_heads * s.head_size, s.hidden);
    matrix(plans, block + "attn_output.weight", s.hidden, s.heads * s.head_size);
    norm(plans, block + "ffn_norm.weight", s.hidden);
    matrix(plans, block + "ffn_gate.weight", s.feed_forward, s.hidden);
    matrix(plans, block + "ffn_up.weight", s.feed_forward, s.hidden);
    matrix(plans, block + "ffn_down.weight", s.hidden, s.feed_forward);
  }
  norm(plans, "output_norm.weight", s.hidden);
  if (!s.tied) matrix(plans, "output.weight", s.vocab, s.hidden);
  return plans;
}

void Synthesiser::write(const Plan& plan, GgufWriter& writer) {
  if (plan.deviation != 0) {
    write_random(plan, writer);
    return;
  }
  const std::vector<float> ones(static_cast<std::size_t>(plan.shape.numel()), 1.0f);
  writer.write(std::as_bytes(std::span(ones)));
}

void Synthesiser::write_random(const Plan& plan, GgufWriter& writer) {
  std::vector<std::byte>& pool = pools_[{plan.type, plan.deviation}];
  if (pool.empty()) pool = make_pool(plan.type, plan.deviation, random_);
  const auto piece = static_cast<std::size_t>(storage_bytes(plan.type, kPieceElements));
  std::vector<std::byte> buffer;
  for (std::int64_t left = plan.shape.numel(); left > 0; left -= kPieceElements) {
    const std::size_t from = static_cast<std::size_t>(random_.next() % (kPoolElements / kPieceElements)) * piece;
    const auto size = static_cast<std::size_t>(storage_bytes(plan.type, std::min(left, kPieceElements)));
    buffer.insert(buffer.end(), pool.begin() + static_cast<std::ptrdiff_t>(from),
                  pool.begin() + static_cast<std::ptrdiff_t>(from + size));
    if (buffer.size() < kBufferBytes && left > kPieceElements) continue;
    writer.write(buffer);
    buffer.clear();
  }
}

// The tokenizer

constexpr std::int64_t kBytes = 256, kControlTokens = 2, kUndefinedVocab = kBytes + kControlTokens;
constexpr std::string_view kSpace = "\u0120";  // how byte-level vocabularies write a space

/// Byte-level vocabularies write bytes that are no printable letters as letters from U+0100 on.
std::string byte_letter(int byte, int& unprintable) {
  const bool printable = (byte > 32 && byte < 127) || (byte > 160 && byte != 173);
  const int code = printable ? byte : 256 + unprintable++;
  if (code < 128) return {static_cast<char>(code)};
  return {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 63))};
}

/// "aa", "ab", ... "zz", "aaa", ...: words by number.
std::string word(std::int64_t number) {
  constexpr std::int64_t kLetters = 26;
  std::int64_t length = 2, count = kLetters * kLetters;
  while (number >= count) {
    number -= count;
    count *= kLetters;
    ++length;
  }
  std::string text;
  for (; length > 0; --length, number /= kLetters) text.insert(text.begin(), static_cast<char>('a' + number % kLetters));
  return text;
}

/// Bytes, pairs of letters with and without a space before, longer words that no text is cut into, and two
/// tokens that begin and end texts.
void add_tokenizer(const ModelShape& shape, GgufWriter& writer) {
  if (shape.vocab < kUndefinedVocab) {
    fail(ErrorCode::InvalidModel, "vocabulary: got {} tokens, expected at least {}", shape.vocab, kUndefinedVocab);
  }
  constexpr std::int64_t kPairs = 26 * 26;
  constexpr std::int32_t kNormal = 1, kControl = 3;
  std::vector<std::string> tokens, merges;
  int unprintable = 0;
  for (int byte = 0; byte < kBytes; ++byte) tokens.push_back(byte_letter(byte, unprintable));
  const std::int64_t words = shape.vocab - kUndefinedVocab;
  for (std::int64_t i = 0; i < words; ++i) {
    const bool spaced = i >= kPairs && i < 2 * kPairs;
    const std::string text = word(spaced ? i - kPairs : i < kPairs ? i : i - kPairs);
    tokens.push_back((spaced ? std::string(kSpace) : "") + text);
    if (i < kPairs) merges.push_back(text.substr(0, 1) + " " + text.substr(1));
    if (spaced) merges.push_back(std::string(kSpace) + " " + text);
  }
  std::vector<std::int32_t> types(tokens.size(), kNormal);
  for (const char* control : {"<|begin|>", "<|end|>"}) {
    tokens.emplace_back(control);
    types.push_back(kControl);
  }
  writer.add("tokenizer.ggml.model", std::string_view("gpt2"));
  writer.add("tokenizer.ggml.pre", std::string_view("gpt-2"));
  writer.add("tokenizer.ggml.tokens", std::span<const std::string>(tokens));
  writer.add("tokenizer.ggml.token_type", std::span<const std::int32_t>(types));
  writer.add("tokenizer.ggml.merges", std::span<const std::string>(merges));
  writer.add("tokenizer.ggml.bos_token_id", static_cast<std::uint32_t>(shape.vocab - 2));
  writer.add("tokenizer.ggml.eos_token_id", static_cast<std::uint32_t>(shape.vocab - 1));
  writer.add("tokenizer.ggml.add_bos_token", false);
}

void add_parameters(const ModelShape& shape, const WeightMix& mix, GgufWriter& writer) {
  writer.add("general.architecture", std::string_view(shape.architecture));
  writer.add("general.name", std::string_view(shape.name));
  writer.add("general.file_type", mix.file_type);
  writer.add("general.quantization_version", std::uint32_t{2});
  const std::pair<const char*, std::int64_t> kNumbers[] = {
      {"block_count", shape.layers},
      {"embedding_length", shape.hidden},
      {"feed_forward_length", shape.feed_forward},
      {"context_length", shape.context},
      {"vocab_size", shape.vocab},
      {"attention.head_count", shape.heads},
      {"attention.head_count_kv", shape.kv_heads},
      {"attention.key_length", shape.head_size},
      {"attention.value_length", shape.head_size},
      {"rope.dimension_count", shape.head_size},
  };
  for (const auto& [key, value] : kNumbers) {
    writer.add(shape.architecture + "." + key, static_cast<std::uint32_t>(value));
  }
  writer.add(shape.architecture + ".attention.layer_norm_rms_epsilon", 1e-5f);
  writer.add(shape.architecture + ".rope.freq_base", static_cast<float>(shape.rope_theta));
}

}  // namespace

void synthesise(const ModelShape& shape, const WeightMix& mix, std::uint64_t seed,
                const std::filesystem::path& to, const WriteProgress& progress) {
  Synthesiser synthesiser(shape, mix, seed);
  const std::vector<Plan> plans = synthesiser.plans();
  GgufWriter writer(to);
  add_parameters(shape, mix, writer);
  add_tokenizer(shape, writer);
  for (const Plan& plan : plans) writer.declare(plan.name, plan.type, plan.shape);
  std::int64_t done = 0;
  for (const Plan& plan : plans) {
    progress(plan.name, done, writer.data_bytes());
    synthesiser.write(plan, writer);
    done += storage_bytes(plan.type, plan.shape.numel());
  }
  writer.commit();
}

}  // namespace naru
