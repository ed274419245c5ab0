// Grammars and JSON schemas: the input is a schema when it begins with a brace, else a grammar;
// then some bytes that it allows are followed.
#include <string>

#include "naru/constraint.h"

#include "tests/fuzz/fuzz_support.h"

namespace {

/// A vocabulary of the 256 bytes and an end.
const naru::ConstraintVocabulary& vocabulary() {
  static const naru::ConstraintVocabulary kVocabulary = [] {
    std::string tokens, types;
    for (int byte = 0; byte < 256; ++byte) {
      char name[16];
      std::snprintf(name, sizeof(name), "\"<0x%02X>\",", static_cast<unsigned>(byte));
      tokens += name;
      types += "6,";
    }
    return naru::ConstraintVocabulary(naru::Tokenizer::from_json(
        R"({"type": "gguf", "model": "llama", "unknown_token_id": 256, "bos_token_id": 256, "eos_token_id": 256, "tokens": [)" +
        tokens + R"("</s>"], "token_type": [)" + types + "3]}"));
  }();
  return kVocabulary;
}

void follow(const naru::Grammar& grammar) {
  naru::TokenConstraint constraint(grammar, vocabulary());
  for (int step = 0; step < 40; ++step) {
    const naru::TokenMask& mask = constraint.next_mask();
    // The mask and accept() must agree; which byte is taken varies with the step.
    naru::TokenId chosen = -1;
    for (naru::TokenId id = 0; id < 256; ++id) {
      if (mask.allows((id + step * 37) % 256)) chosen = (id + step * 37) % 256;
    }
    if (chosen < 0) {
      if (!constraint.is_complete()) naru::fuzz::finding("a grammar without a way on");
      return;
    }
    constraint.accept(chosen);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  fuzz::accepts([&] {
    try {
      follow(input.starts_with('{') ? Grammar::from_json_schema(input) : Grammar::from_gbnf(input));
    } catch (const Error& error) {
      if (error.code() != ErrorCode::InvalidArgument) throw;  // grammars are arguments
    }
  });
  return 0;
}
