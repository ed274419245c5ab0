// The pre-tokenizers that GGUF files name, as data: each a list of patterns, which state facts of
// the published tokenizer.json files of those models.
#include "graph/fail.h"
#include "graph/model_file.h"
#include "runtime/text/pre_tokenizer.h"

namespace naru::text {

namespace {

// Parts that the patterns share, as literals to be put together.
#define CONTRACTION R"((?i:'s|'t|'re|'ve|'m|'ll|'d))"
#define WORD R"([^\r\n\p{L}\p{N}]?\p{L}+)"
#define SIGNS R"( ?[^\s\p{L}\p{N}]+[\r\n]*)"
#define SPACES R"(\s*[\r\n]+|\s+(?!\S)|\s+)"
#define UPPER R"([\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}])"
#define LOWER R"([\p{Ll}\p{Lm}\p{Lo}\p{M}])"
#define LEAD R"([^\r\n\p{L}\p{N}]?)"
#define CASED(end) LEAD UPPER "*" LOWER "+" end "|" LEAD UPPER "+" LOWER "*" end

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kLlama3 = CONTRACTION "|" WORD R"(|\p{N}{1,3}|)" SIGNS "|" SPACES;
constexpr std::string_view kQwen2 = CONTRACTION "|" WORD R"(|\p{N}|)" SIGNS "|" SPACES;
constexpr std::string_view kQwen35 =
    CONTRACTION R"(|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)" SPACES;
constexpr std::string_view kGpt4o =
    CASED(CONTRACTION "?") R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;
constexpr std::string_view kTekken = CASED("") R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|)" SPACES;
constexpr std::string_view kExaoneMoe = CONTRACTION
    R"(|[^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kBailing =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    CONTRACTION "|" WORD R"(|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|)" SPACES;
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
constexpr std::string_view kLines = R"([^\n]+|[\n]+)";
constexpr std::string_view kHanKana = R"([一-龥\x{3040}-ゟ゠-ヿ]+)";
constexpr std::string_view kDeepseekWords =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|)" SPACES;
constexpr std::string_view kDeepseekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\x{1F7D}ᾀ-ᾴᾶ-ᾼ\x{1FBE}ῂ-ῄῆ-ῌῐ-\x{1FD3}ῖ-\x{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\x{2126}ℨ\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+)";
constexpr std::string_view kCjkHangul = R"([一-龥ࠀ-一가-\x{D7FF}]+)";

#undef CONTRACTION
#undef WORD
#undef SIGNS
#undef SPACES
#undef UPPER
#undef LOWER
#undef LEAD
#undef CASED

struct KnownPreTokenizer {
  std::string_view names;  ///< separated and surrounded by spaces
  PreTokenizerPatterns how;
};

const std::vector<KnownPreTokenizer>& known() {
  static const std::vector<KnownPreTokenizer> kKnown = {
      {" gpt-2 gpt2 phi-2 jina-es jina-de gigachat jina-v2-es jina-v2-de a.x-4.0 mellum "
       "modern-bert "
       "jina-v1-en jina-v2-code roberta-bpe mpt olmo jais trillion granite-docling exaone4 ",
       {{kGpt2}}},
      {" smollm exaone starcoder refact command-r codeshell minerva-7b mellum2 ",
       {{kDigit, kGpt2}}},
      {" llama-bpe llama3 llama-v3 falcon3 falcon-h1 pixtral midm-2.0 lfm2 jina-v5-nano ",
       {.patterns = {kLlama3}, .whole_pieces = true, .add_bos = true}},
      {" dbrx smaug-bpe glm4 chatglm-bpe ", {{kLlama3}}},
      {" qwen2 deepseek-r1-qwen kormo f2llmv2 megrez stablelm2 hunyuan solar-open grok-2 ",
       {{kQwen2}}},
      {" qwen35 ", {{kQwen35}}},
      {" gpt-4o llama4 kanana2 talkie minimax-m2 ", {{kGpt4o}}},
      {" granite-embed-multi-97m ", {.patterns = {kGpt4o}, .whole_pieces = true}},
      {" tekken ", {.patterns = {kTekken}, .whole_pieces = true, .add_bos = true}},
      {" exaone-moe ", {{kExaoneMoe}}},
      {" deepseek-llm ",
       {{R"([\r\n])", kDeepseekLetters, R"(\s?[!-/:-~！-／：-～‘-‟　-。]+)", R"(\s+$)", kCjkHangul,
         R"(\p{N}+)"}}},
      {" deepseek-coder ", {{R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjkHangul, kDigit}}},
      {" deepseek-v3 hunyuan-dense joyai-llm hy_v4 ",
       {{R"(\p{N}{1,3})", kHanKana, kDeepseekWords}}},
      {" falcon ", {{R"([\p{P}\$\+<=>\^~\|`]+)", kGpt2, "[0-9][0-9][0-9]"}}},
      {" default ", {{R"([\p{P}\$\+<=>\^~\|]+)", kGpt2, R"(\p{N}+)", "[0-9][0-9][0-9]"}}},
      {" bailingmoe bailingmoe2 llada-moe ", {{kBailing}}},
      {" seed-coder ", {{kSeedCoder}}},
      {" poro-chat bloom gpt3-finnish ", {{kBloom}}},
      {" viking ", {{kBloom, kDigit}}},
      {" laguna ", {{kLines, kQwen2}}},
      {" gemma4 granite-embed-multi-311m sarvam-moe ",
       {.patterns = {kLines}, .spaces_as_marks = true}},
  };
  return kKnown;
}

}  // namespace

const std::string_view kGpt2Pattern = kGpt2;

PreTokenizerPatterns known_patterns(std::string_view name) {
  const std::string key = fmt::format(" {} ", name.empty() ? "default" : name);
  for (const KnownPreTokenizer& entry : known()) {
    if (name.find(' ') == std::string_view::npos && entry.names.find(key) != std::string_view::npos)
      return entry.how;
  }
  fail(ErrorCode::Unsupported, "pre-tokenizer: {} is not known", quote_name(name));
}

}  // namespace naru::text
