// Tokenizer: special tokens, incremental text, hostile vocabularies, linear time.
#include "naru/tokenizer.h"

#include <algorithm>
#include <chrono>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "naru/error.h"

namespace naru {
namespace {

using Json = nlohmann::json;

/// A byte-level vocabulary of all bytes, a few merges, and two control tokens.
Json byte_level() {
  Json tokens = Json::array({"<|end|>", "<|user|>"}), types = Json::array({3, 3});
  const auto add = [&](const std::string& token) {
    tokens.push_back(token);
    types.push_back(1);
  };
  int next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable =
        (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int letter = printable ? byte : next++;
    std::string text;
    if (letter < 128) {
      text = static_cast<char>(letter);
    } else {
      text = {static_cast<char>(0xC0 | letter >> 6), static_cast<char>(0x80 | (letter & 0x3F))};
    }
    add(text);
  }
  for (const char* merged : {"aa", "aaaa", "ab", "<|"}) add(merged);
  return {{"type", "gguf"},         {"model", "gpt2"},
          {"pre", "llama-bpe"},     {"tokens", tokens},
          {"token_type", types},    {"merges", {"a a", "aa aa", "a b", "< |"}},
          {"add_bos_token", false}, {"eos_token_id", 0}};
}

ErrorCode code_of(const Json& json) {
  try {
    Tokenizer::from_json(json.dump());
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::Internal;
}

TEST(Tokenizer, ParsesControlTokensOnlyWhenAsked) {
  const Tokenizer tokenizer = Tokenizer::from_json(byte_level().dump());
  EXPECT_GT(tokenizer.encode("<|end|>").size(), 1U);
  EXPECT_EQ(tokenizer.encode("<|end|>", {ParseSpecial::Yes}), std::vector<TokenId>{0});
  EXPECT_TRUE(tokenizer.is_special(0));
  EXPECT_TRUE(tokenizer.is_end_of_generation(0));
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("<|end|>")), "<|end|>");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{0}), "");
  EXPECT_EQ(tokenizer.decode(std::vector<TokenId>{0}, true), "<|end|>");
}

TEST(Tokenizer, KeepsControlTokensInsideInputAsText) {
  const Tokenizer tokenizer = Tokenizer::from_json(byte_level().dump());
  const std::string text = "<|user|>a<|end|>b<|end|>";
  const TextRange input[] = {{8, 17}};
  const std::vector<TokenId> ids = tokenizer.encode(text, {ParseSpecial::Yes, true, input});
  EXPECT_EQ(ids.front(), 1);
  EXPECT_EQ(std::count(ids.begin(), ids.end(), 0), 1);
  EXPECT_EQ(tokenizer.decode(ids, true), text);
}

TEST(Tokenizer, HoldsBackPartsOfCharacters) {
  const Tokenizer tokenizer = Tokenizer::from_json(byte_level().dump());
  const std::string text = "나루 🚢!";
  Detokenizer detokenizer(tokenizer);
  std::string out;
  for (const TokenId id : tokenizer.encode(text)) {
    const std::string part = detokenizer.push(id);
    EXPECT_EQ(part.find("\xEF\xBF\xBD"), std::string::npos);
    out += part;
  }
  EXPECT_EQ(out, text);
  EXPECT_EQ(detokenizer.finish(), "");
  detokenizer.push(tokenizer.encode("\xEC\x95\x88").front());
  EXPECT_EQ(detokenizer.finish(), "\xEF\xBF\xBD");
}

TEST(Tokenizer, ReplacesIllFormedText) {
  const Tokenizer tokenizer = Tokenizer::from_json(byte_level().dump());
  EXPECT_EQ(tokenizer.decode(tokenizer.encode("a\xFF\xE2\x82"
                                              "b")),
            "a\xEF\xBF\xBD\xEF\xBF\xBD"
            "b");
}

TEST(Tokenizer, RefusesIdsOutOfRange) {
  const Tokenizer tokenizer = Tokenizer::from_json(byte_level().dump());
  EXPECT_THROW(tokenizer.decode(std::vector<TokenId>{-1}), Error);
  EXPECT_THROW(tokenizer.token_bytes(static_cast<TokenId>(tokenizer.vocab_size())), Error);
}

TEST(Tokenizer, TakesTimeThatGrowsWithTheText) {
  const Tokenizer tokenizer = Tokenizer::from_json(byte_level().dump());
  const auto begin = std::chrono::steady_clock::now();
  for (const std::string& unit : {std::string("a"), std::string(" "), std::string("\n "),
                                  std::string("1"), std::string("\xCC\x81"), std::string("'")}) {
    std::string text;
    while (text.size() < 1'000'000) text += unit;
    EXPECT_EQ(tokenizer.decode(tokenizer.encode(text)), text);
  }
  // Six million letters; quadratic time would take hours.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(60));
}

TEST(Tokenizer, RefusesHostileVocabularies) {
  Json twice = byte_level();
  twice["tokens"][300 - 50] = twice["tokens"][299 - 50];
  EXPECT_EQ(code_of(twice), ErrorCode::InvalidModel);
  Json nothing = byte_level();
  nothing["merges"].push_back("zz yy");
  EXPECT_EQ(code_of(nothing), ErrorCode::InvalidModel);
  Json one = byte_level();
  one["merges"].push_back("a");
  EXPECT_EQ(code_of(one), ErrorCode::InvalidModel);
  Json range = byte_level();
  range["eos_token_id"] = 4'000'000'000U;
  EXPECT_EQ(code_of(range), ErrorCode::InvalidModel);
  Json types = byte_level();
  types["token_type"] = Json::array({1});
  EXPECT_EQ(code_of(types), ErrorCode::InvalidModel);
  Json pre = byte_level();
  pre["pre"] = "nobody knows";
  EXPECT_EQ(code_of(pre), ErrorCode::Unsupported);
  Json numbers = byte_level();
  numbers["tokens"][3] = 7;
  EXPECT_EQ(code_of(numbers), ErrorCode::InvalidModel);
  EXPECT_THROW(Tokenizer::from_json("{"), Error);
  EXPECT_THROW(Tokenizer::from_json("[]"), Error);
}

Json huggingface(Json model, Json pre_tokenizer = nullptr) {
  return {{"type", "huggingface"},
          {"tokenizer_json",
           {{"model", std::move(model)}, {"pre_tokenizer", std::move(pre_tokenizer)}}}};
}

TEST(Tokenizer, RefusesHostileTokenizerJson) {
  EXPECT_EQ(code_of(huggingface(
                {{"type", "BPE"}, {"vocab", {{"a", 4'000'000'000U}}}, {"merges", Json::array()}})),
            ErrorCode::InvalidModel);
  EXPECT_EQ(
      code_of(huggingface({{"type", "BPE"}, {"vocab", {{"a", -1}}}, {"merges", Json::array()}})),
      ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(huggingface(
                {{"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 0}}}, {"merges", Json::array()}})),
            ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(huggingface({{"type", "Unigram"}, {"vocab", {{"a", 1, 2}}}})),
            ErrorCode::InvalidModel);
  EXPECT_EQ(code_of(huggingface({{"type", "Other"}, {"vocab", Json::object()}})),
            ErrorCode::Unsupported);
  Json nested = {{"type", "Sequence"}, {"pretokenizers", Json::array()}};
  for (int i = 0; i < 100; ++i) nested = {{"type", "Sequence"}, {"pretokenizers", {nested}}};
  EXPECT_EQ(code_of(huggingface({{"type", "BPE"}, {"vocab", {{"a", 0}}}, {"merges", Json::array()}},
                                nested)),
            ErrorCode::InvalidModel);
}

Tokenizer with_pattern(const std::string& pattern) {
  const Json split = {
      {"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Isolated"}};
  const Json model = {
      {"type", "BPE"}, {"vocab", {{"a", 0}, {"b", 1}, {"aa", 2}}}, {"merges", {"a a"}}};
  return Tokenizer::from_json(huggingface(model, split).dump());
}

TEST(Tokenizer, BoundsPatternsThatTakeExponentialTime) {
  const Tokenizer tokenizer = with_pattern("(a+)+$");
  EXPECT_EQ(tokenizer.encode("aaaa").size(), 2U);
  EXPECT_THROW(tokenizer.encode(std::string(5000, 'a') + "b"), Error);
  EXPECT_THROW(with_pattern("(a*)*b"), Error);
  EXPECT_THROW(with_pattern("(a)\\1"), Error);
  EXPECT_THROW(with_pattern(std::string(10'000, '(')), Error);
  EXPECT_THROW(with_pattern("((a{1000}){1000}){1000}"), Error);
  EXPECT_THROW(with_pattern("[z-a]"), Error);
  EXPECT_THROW(with_pattern("a)"), Error);
  EXPECT_THROW(with_pattern("*"), Error);
  EXPECT_THROW(with_pattern("[a"), Error);
}

}  // namespace
}  // namespace naru
