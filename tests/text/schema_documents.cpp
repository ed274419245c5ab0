// schema_documents TOKENIZER.json SCHEMAS.json COUNT: documents sampled at random under the mask of
// each schema, as a JSON array of arrays; null for a schema that is refused.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "naru/constraint.h"
#include "naru/error.h"
#include "naru/sampling.h"

namespace naru {
namespace {

using Json = nlohmann::ordered_json;

std::string read_file(const char* path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// How near to an end a token leads: the end itself, a bracket that closes, a quote; 0: no nearer.
int closeness(const Tokenizer& tokenizer, TokenId id) {
  if (tokenizer.is_end_of_generation(id)) return 4;
  const std::string_view bytes = tokenizer.token_bytes(id);
  return bytes == "\"" ? 3 : bytes == "}" || bytes == "]" ? 2 : 0;
}

/// Tokens that lead to an end get likelier, or documents would not end.
std::string sample_document(const Grammar& grammar, const ConstraintVocabulary& vocabulary,
                            const Tokenizer& tokenizer, RandomSource& random) {
  TokenConstraint constraint(grammar, vocabulary);
  std::string text;
  for (int length = 0; length < 3000; ++length) {
    const TokenMask& mask = constraint.next_mask();
    std::vector<TokenId> allowed, closing;
    int nearest = 1;
    for (TokenId id = 0; id < mask.size(); ++id) {
      if (!mask.allows(id)) continue;
      allowed.push_back(id);
      const int near = closeness(tokenizer, id);
      if (near > nearest) closing.clear();
      if (near >= nearest) closing.push_back(id);
      nearest = std::max(nearest, near);
    }
    if (allowed.empty()) throw Error(ErrorCode::Internal, "no token is allowed after " + text);
    const bool close = !closing.empty() &&
                       random.uniform() < std::min(0.2 + length / 100.0, nearest == 2 ? 0.6 : 1.0);
    const std::vector<TokenId>& choice = close ? closing : allowed;
    const TokenId id =
        choice[static_cast<std::size_t>(random.uniform() * static_cast<double>(choice.size()))];
    constraint.accept(id);
    if (constraint.is_finished()) return text;
    text += tokenizer.token_bytes(id);
  }
  if (!constraint.is_complete())
    throw Error(ErrorCode::Internal, "a document that does not end: " + text.substr(0, 200));
  return text;
}

int run(char** arguments) {
  const Tokenizer tokenizer = Tokenizer::from_json(read_file(arguments[1]));
  const ConstraintVocabulary vocabulary(tokenizer);
  RandomSource random(1);
  Json result = Json::array();
  for (const Json& schema : Json::parse(read_file(arguments[2]))) {
    try {
      const Grammar grammar = Grammar::from_json_schema(schema.dump());
      Json documents = Json::array();
      for (int i = 0; i < std::stoi(arguments[3]); ++i)
        documents.push_back(sample_document(grammar, vocabulary, tokenizer, random));
      result.push_back(std::move(documents));
    } catch (const Error& error) {
      if (error.code() == ErrorCode::Internal) throw;
      std::fprintf(stderr, "%s\n  %s\n", schema.dump().substr(0, 200).c_str(), error.what());
      result.push_back(nullptr);
    }
  }
  std::printf("%s\n", result.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace naru

int main(int argc, char** argv) { return argc == 4 ? naru::run(argv) : 2; }
