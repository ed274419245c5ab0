// Grammar and TokenConstraint: what grammars allow, what they refuse, and how long they take.
#include "naru/constraint.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "naru/error.h"

namespace naru {
namespace {

/// A vocabulary of the bytes 0 to 255 by their number, then some longer tokens, then the end.
Tokenizer byte_tokenizer(const std::vector<std::string>& longer = {}) {
  nlohmann::json tokens = nlohmann::json::array(), types = nlohmann::json::array();
  for (int byte = 0; byte < 256; ++byte) {
    char name[8];
    std::snprintf(name, sizeof(name), "<0x%02X>", static_cast<unsigned>(byte));
    tokens.push_back(name);
    types.push_back(6);
  }
  for (const std::string& token : longer) {
    tokens.push_back(token);
    types.push_back(1);
  }
  tokens.push_back("</s>");
  types.push_back(3);
  const auto end = tokens.size() - 1;
  return Tokenizer::from_json(nlohmann::json{
      {"type", "gguf"},
      {"model", "llama"},
      {"tokens", tokens},
      {"token_type", types},
      {"eos_token_id", end},
      {"bos_token_id", end},
      {"unknown_token_id", end},
      {"add_space_prefix", false}}.dump());
}

TokenConstraint constraint_of(const Grammar& grammar, const std::vector<std::string>& longer = {}) {
  return TokenConstraint(grammar, ConstraintVocabulary(byte_tokenizer(longer)));
}

/// Whether the grammar accepts the whole text; every byte is checked against the mask, too.
bool accepts(const Grammar& grammar, const std::string& text) {
  TokenConstraint constraint = constraint_of(grammar);
  for (const char c : text) {
    const TokenId id = static_cast<unsigned char>(c);
    const bool allowed = constraint.next_mask().allows(id);
    try {
      constraint.accept(id);
    } catch (const Error&) {
      EXPECT_FALSE(allowed);
      return false;
    }
    EXPECT_TRUE(allowed);
  }
  EXPECT_EQ(constraint.next_mask().allows(256), constraint.is_complete());
  return constraint.is_complete();
}

TEST(Grammar, FollowsGbnf) {
  const Grammar list = Grammar::from_gbnf(R"(# a list
root  ::= "[" (item ("," item)*)? "]"
item  ::= [a-c]+ | "x"{2,3}
        | [^a-zA-Z,\]] | "가" | .{2} "!"
)");
  for (const char* text : {"[]", "[abc]", "[xx]", "[xxx,a]", "[7]", "[가]", "[나]", "[zz!]"})
    EXPECT_TRUE(accepts(list, text)) << text;
  for (const char* text : {"", "[", "[x]", "[xxxx]", "[a,]", "[a]b", "[\xEA\xB0]"})
    EXPECT_FALSE(accepts(list, text)) << text;
  const Grammar nested = Grammar::from_gbnf("root ::= \"(\" root \")\" | \"\"");
  EXPECT_TRUE(accepts(nested, "((()))"));
  EXPECT_FALSE(accepts(nested, "((())"));
}

TEST(Grammar, RefusesBadGbnf) {
  for (const char* text :
       {"", "x ::= \"a\"", "root ::= missing", "root ::= root \"a\"", "root ::= a\na ::= b?  a",
        "root ::= (\"a\"*)*", "root ::= \"a", "root ::= [z-a]", "root ::= \"a\" root",
        "root = \"a\"", "root ::= (\"a\"", "root ::= \"a\"{5,2}", "root ::= \"a\"{99999}",
        "root ::= \"a\"\nroot ::= \"b\"", "root ::= \"\\x4\""}) {
    EXPECT_THROW(Grammar::from_gbnf(text), Error) << text;
  }
  EXPECT_THROW(Grammar::from_gbnf("root ::= " + std::string(100'000, '(')), Error);
}

TEST(Grammar, NamesThePlaceOfMistakes) {
  try {
    Grammar::from_gbnf("root ::= \"a\"\n  | ]");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::InvalidArgument);
    EXPECT_NE(std::string(error.what()).find("line 2, column 5"), std::string::npos)
        << error.what();
  }
}

TEST(TokenConstraint, MasksTokensOfManyBytes) {
  TokenConstraint constraint = constraint_of(Grammar::from_gbnf("root ::= \"ab\" [0-9]+ \"c\""),
                                             {"ab", "ab1", "abc", "b2", "12c", "12cx", "c"});
  const TokenMask& first = constraint.next_mask();
  EXPECT_TRUE(first.allows(256));   // ab
  EXPECT_TRUE(first.allows(257));   // ab1
  EXPECT_FALSE(first.allows(258));  // abc
  EXPECT_FALSE(first.allows(259));
  constraint.accept(257);
  EXPECT_TRUE(constraint.next_mask().allows(260));   // 12c
  EXPECT_FALSE(constraint.next_mask().allows(261));  // 12cx
  EXPECT_THROW(constraint.accept(261), Error);
  constraint.accept(260);
  EXPECT_TRUE(constraint.is_complete());
  EXPECT_FALSE(constraint.next_mask().allows(262));
  constraint.accept(263);
  EXPECT_TRUE(constraint.is_finished());
  EXPECT_THROW(constraint.accept(263), Error);
}

TEST(TokenConstraint, AllowsPartsOfCharacters) {
  const Grammar korean = Grammar::from_gbnf("root ::= [가-힣]+");
  EXPECT_TRUE(accepts(korean, "나루힣"));
  EXPECT_FALSE(accepts(korean, "나\xEA"));
  EXPECT_FALSE(accepts(korean, "나\xED\xA0\x80"));
}

TEST(TokenConstraint, GoesOnForLongTexts) {
  const Grammar any = Grammar::from_json_schema("true");
  std::string text = "[";
  for (int i = 0; i < 3000; ++i) text += "{\"k" + std::to_string(i) + "\": [1, \"가\"]}, ";
  EXPECT_TRUE(accepts(any, text + "null]"));
  TokenConstraint deep = constraint_of(any);
  EXPECT_THROW(for (int i = 0; i < 1'000'000; ++i) deep.accept('['), Error);
}

TEST(Grammar, BoundsHostileSchemas) {
  std::string deep;
  for (int i = 0; i < 5000; ++i) deep += R"({"items":)";
  deep += "true" + std::string(5000, '}');
  EXPECT_THROW(Grammar::from_json_schema(deep), Error);
  EXPECT_THROW(Grammar::from_json_schema("{"), Error);
  std::string wide = R"({"type": "string", "pattern": "^)";
  for (int i = 0; i < 3000; ++i) wide += "[^a]";
  EXPECT_NO_THROW(Grammar::from_json_schema(wide + "$\"}"));
}

}  // namespace
}  // namespace naru
