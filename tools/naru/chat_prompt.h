// Messages of a chat as the tokens that a model expects.
#pragma once

#include <nlohmann/json.hpp>
#include <vector>

#include "naru/chat_template.h"
#include "naru/engine.h"
#include "naru/tokenizer.h"

namespace naru::tool {

/// Renders chats by the model's own template. What the messages say stays text, whatever it looks like.
class ChatPrompt {
 public:
  /// @throws Error Unsupported when the model has no chat template.
  ChatPrompt(const Model& model, Tokenizer tokenizer);

  /// Tokens up to where the answer begins. `messages`: [{"role", "content"}, ...].
  /// @throws Error InvalidArgument when they are no such list, or the template refuses them.
  std::vector<TokenId> tokens(const nlohmann::json& messages) const;

 private:
  Tokenizer tokenizer_;
  ChatTemplate template_;
};

}  // namespace naru::tool
