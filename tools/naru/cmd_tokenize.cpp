// naru tokenize: the tokens that a model makes of a text.
#include <iostream>
#include <iterator>
#include <memory>

#include <nlohmann/json.hpp>

#include "naru/tokenizer.h"

#include "graph/fail.h"
#include "runtime/text/read_tokenizer.h"
#include "runtime/text/unicode.h"
#include "tools/naru/commands.h"

namespace naru::tool {
namespace {

struct TokenizeCommand {
  std::string model, text;
  bool json = false, special = false, bare = false;
};

nlohmann::json tokens_json(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  nlohmann::json tokens = nlohmann::json::array();
  for (const TokenId id : ids) {
    tokens.push_back({{"id", id},
                      {"text", text::replace_ill_formed(tokenizer.token_bytes(id))},
                      {"special", tokenizer.is_special(id)}});
  }
  return tokens;
}

void print(const Tokenizer& tokenizer, const std::vector<TokenId>& ids) {
  for (const TokenId id : ids) {
    const std::string text = nlohmann::json(std::string(tokenizer.token_bytes(id)))
                                 .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
    std::cout << fmt::format("{:>8}  {}{}\n", id, text,
                             tokenizer.is_special(id) ? "  special" : "");
  }
  std::cout << fmt::format("{} tokens\n", ids.size());
}

}  // namespace

Command add_tokenize(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("tokenize", "Show the tokens that a model makes of a text");
  auto command = std::make_shared<TokenizeCommand>();
  sub->add_option("model", command->model, "Model: .gguf, .naru, or a Hugging Face folder")
      ->required();
  sub->add_option("text", command->text, "The text; - reads standard input")->required();
  sub->add_flag("--json", command->json, "Print JSON");
  sub->add_flag("--special", command->special, "Read control tokens written in the text as such");
  sub->add_flag("--bare", command->bare, "Leave out the tokens that the model adds around a text");
  return [command] {
    const Tokenizer tokenizer = text::read_tokenizer(command->model);
    if (command->text == "-") command->text.assign(std::istreambuf_iterator<char>(std::cin), {});
    const EncodeOptions options{command->special ? ParseSpecial::Yes : ParseSpecial::No,
                                !command->bare};
    const std::vector<TokenId> ids = tokenizer.encode(command->text, options);
    if (command->json) {
      std::cout << nlohmann::json{{"kind", tokenizer.kind()},
                                  {"tokens", tokens_json(tokenizer, ids)}}
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                << '\n';
    } else {
      print(tokenizer, ids);
    }
    return kDone;
  };
}

}  // namespace naru::tool
