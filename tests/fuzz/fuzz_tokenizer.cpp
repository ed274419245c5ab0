// Tokenizers from metadata: the input is the JSON, a zero byte, and a text to encode with it.
#include <string>

#include "naru/tokenizer.h"

#include "tests/fuzz/fuzz_support.h"

namespace naru {
namespace {

void encode_and_decode(const Tokenizer& tokenizer, std::string_view text,
                       ParseSpecial parse_special) {
  std::vector<TokenId> ids;
  if (!fuzz::accepts([&] { ids = tokenizer.encode(text, {parse_special}); })) return;
  for (const TokenId id : ids) {
    if (id < 0 || id >= tokenizer.vocab_size())
      fuzz::finding("encode made the id " + std::to_string(id));
  }
  tokenizer.decode(ids, true);
}

}  // namespace
}  // namespace naru

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::size_t split = std::min(input.find('\0'), size);
  const std::string_view text = split < size ? input.substr(split + 1) : input;
  fuzz::accepts([&] {
    const Tokenizer tokenizer = Tokenizer::from_json(input.substr(0, split));
    encode_and_decode(tokenizer, text, ParseSpecial::No);
    encode_and_decode(tokenizer, text, ParseSpecial::Yes);
  });
  return 0;
}
