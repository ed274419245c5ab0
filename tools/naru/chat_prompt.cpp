// Renders messages by the model's chat template and encodes the result.
#include "tools/naru/chat_prompt.h"

#include "graph/fail.h"

namespace naru::tool {
namespace {

/// The template that came with the model, or with its tokenizer.
ChatTemplate template_of(const Model& model, const Tokenizer& tokenizer) {
  std::string source = tokenizer.chat_template();
  for (const auto& [key, value] : model.metadata()) {
    if (key == "naru.chat_template") source = value;
  }
  if (source.empty()) {
    fail(ErrorCode::Unsupported, "chat: the model has no chat template; use naru generate --prompt with its own markers");
  }
  return with_context([] { return "reading the model's chat template"; }, [&] { return ChatTemplate::parse(source); });
}

std::string text_of(const Tokenizer& tokenizer, std::optional<TokenId> id) {
  return id ? std::string(tokenizer.token_bytes(*id)) : std::string();
}

}  // namespace

ChatPrompt::ChatPrompt(const Model& model, Tokenizer tokenizer)
    : tokenizer_(std::move(tokenizer)), template_(template_of(model, tokenizer_)) {}

std::vector<TokenId> ChatPrompt::tokens(const nlohmann::json& messages) const {
  if (!messages.is_array() || messages.empty()) {
    fail(ErrorCode::InvalidArgument, "messages: got no list of objects with \"role\" and \"content\"");
  }
  const nlohmann::json variables{{"messages", messages},
                                 {"add_generation_prompt", true},
                                 {"bos_token", text_of(tokenizer_, tokenizer_.bos())},
                                 {"eos_token", text_of(tokenizer_, tokenizer_.eos())}};
  const Prompt prompt = template_.render(variables.dump());
  EncodeOptions options;
  options.parse_special = ParseSpecial::Yes;
  options.add_special = false;  // the template writes them
  options.input = prompt.input;
  return tokenizer_.encode(prompt.text, options);
}

}  // namespace naru::tool
