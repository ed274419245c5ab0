// naru generate: continues a prompt with a language model, and says how fast.
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "graph/fail.h"
#include "tools/naru/chat_prompt.h"
#include "tools/naru/commands.h"
#include "tools/naru/language_options.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

struct GenerateCommand {
  LanguageOptions language;
  std::string prompt, prompt_file, messages, json_schema, grammar, metrics;
  bool json = false;
};

std::string read_text(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  std::ifstream file(path, std::ios::binary);
  if (!file) fail(ErrorCode::Io, "file '{}': it could not be opened", path);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Figures of one generation, by the definitions of kpm-1 at boundary B-tok; absent ones are null.
nlohmann::json figures(const GenerationResult& result) {
  const auto seconds = [](std::int64_t ns) { return static_cast<double>(ns) * 1e-9; };
  const auto n = static_cast<double>(result.tokens.size());
  nlohmann::json json{{"definitions", "kpm-1"},
                      {"boundary", "B-tok"},
                      {"prompt_tokens", result.prompt_tokens},
                      {"reused_tokens", result.reused_tokens},
                      {"generated_tokens", result.tokens.size()},
                      {"drafted_tokens", result.drafted_tokens},
                      {"accepted_tokens", result.accepted_tokens},
                      {"finish", to_string(result.finish)},
                      {"e2e_s", seconds(result.end_ns - result.arrival_ns)}};
  json["ttft_s"] = json["tpot_s"] = json["prefill_tokens_per_s"] = json["decode_tokens_per_s"] = nullptr;
  if (result.tokens.empty()) return json;
  const double first = seconds(result.tokens.front().time_ns - result.arrival_ns);
  json["ttft_s"] = first;
  json["prefill_tokens_per_s"] = static_cast<double>(result.prompt_tokens - result.reused_tokens) / first;
  if (result.tokens.size() < 2) return json;
  const double each = seconds(result.tokens.back().time_ns - result.tokens.front().time_ns) / (n - 1);
  json["tpot_s"] = each;
  json["decode_tokens_per_s"] = 1 / each;
  return json;
}

nlohmann::json phases_json(const Metrics& metrics) {
  nlohmann::json phases = nlohmann::json::array();
  for (const Phase& phase : metrics.cold_start) phases.push_back({{"phase", phase.name}, {"s", phase.seconds}});
  return phases;
}

nlohmann::json tokens_json(const GenerationResult& result) {
  nlohmann::json tokens = nlohmann::json::array();
  for (const GeneratedToken& token : result.tokens) {
    nlohmann::json entry{{"id", token.id}, {"text", token.text}, {"logprob", token.logprob}};
    for (const auto& [id, logprob] : token.top) entry["top"].push_back({{"id", id}, {"logprob", logprob}});
    tokens.push_back(std::move(entry));
  }
  return tokens;
}

void print_figures(const nlohmann::json& figures) {
  const auto figure = [&](const char* key) {
    return figures[key].is_null() ? std::optional<double>() : std::optional(figures[key].get<double>());
  };
  std::cerr << fmt::format("naru: {} prompt tokens, {} generated, ended by {}; TTFT {}, TPOT {}", figures["prompt_tokens"].get<std::int64_t>(),
                           figures["generated_tokens"].get<std::int64_t>(), figures["finish"].get<std::string>(),
                           seconds_text(figure("ttft_s")), seconds_text(figure("tpot_s")));
  if (const auto rate = figure("prefill_tokens_per_s")) std::cerr << fmt::format(", prefill {:.1f} tokens/s", *rate);
  if (const auto rate = figure("decode_tokens_per_s")) std::cerr << fmt::format(", decode {:.1f} tokens/s", *rate);
  const auto drafted = figures["drafted_tokens"].get<std::int64_t>();
  if (drafted > 0) std::cerr << fmt::format(", {} of {} guesses right", figures["accepted_tokens"].get<std::int64_t>(), drafted);
  std::cerr << '\n';
}

/// The tokens to continue: those of a text, or of messages by the model's chat template.
std::vector<TokenId> prompt_tokens(const GenerateCommand& command, const Model& model, const Tokenizer& tokenizer) {
  if (command.messages.empty()) return tokenizer.encode(command.prompt);
  const nlohmann::json messages = nlohmann::json::parse(read_text(command.messages), nullptr, false);
  return ChatPrompt(model, tokenizer).tokens(messages);
}

int run(GenerateCommand& command) {
  if (!command.prompt_file.empty()) command.prompt = read_text(command.prompt_file);
  Engine engine(command.language.device.engine_options());
  const Model model = command.language.load(engine);
  Generator generator(model, command.language.generator_options(engine));
  const std::vector<TokenId> prompt = prompt_tokens(command, model, generator.tokenizer());

  GenerationOptions options = command.language.generation;
  if (!command.json_schema.empty()) options.grammar = Grammar::from_json_schema(read_text(command.json_schema));
  if (!command.grammar.empty()) options.grammar = Grammar::from_gbnf(read_text(command.grammar));
  if (!command.json) {
    options.on_token = [beginning = command.prompt](const GeneratedToken& token) mutable {
      std::cout << std::exchange(beginning, {}) << token.text << std::flush;
      return static_cast<bool>(std::cout);
    };
  }
  const GenerationResult result = generator.submit(prompt, options).wait();
  nlohmann::json report = figures(result);
  report["cold_start"] = phases_json(engine.metrics());
  if (command.json) {
    nlohmann::json json{{"text", result.text}, {"tokens", tokens_json(result)}, {"metrics", report}};
    std::cout << json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) << '\n';
  } else {
    std::cout << '\n';
    print_figures(report);
  }
  if (!command.metrics.empty()) {
    std::ofstream file(command.metrics);
    file << report.dump(2) << '\n';
    if (!file.flush()) fail(ErrorCode::Io, "file '{}': it could not be written", command.metrics);
  }
  return kDone;
}

}  // namespace

Command add_generate(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("generate", "Continue a prompt with a language model");
  auto command = std::make_shared<GenerateCommand>();
  command->language.add_model_to(*sub);
  command->language.add_sampling_to(*sub);
  command->language.add_speculation_to(*sub);
  CLI::Option_group* source = sub->add_option_group("prompt");
  source->add_option("-p,--prompt", command->prompt, "The text to continue");
  source->add_option("--prompt-file", command->prompt_file, "File with the text; - reads standard input");
  source->add_option("--messages", command->messages, "JSON file with a chat, [{\"role\", \"content\"}, ...], to answer");
  source->require_option(1);
  CLI::Option* schema = sub->add_option("--json-schema", command->json_schema, "JSON schema file that the text must keep to");
  sub->add_option("--grammar", command->grammar, "Grammar file (GBNF) that the text must keep to")->excludes(schema);
  sub->add_option("--logprobs", command->language.generation.logprobs, "Report this many most probable tokens with each (in JSON)")
      ->check(CLI::Range(0, 1000));
  sub->add_option("--metrics", command->metrics, "File for the figures (JSON)");
  sub->add_flag("--json", command->json, "Print JSON instead of the text as it comes");
  return [command] { return run(*command); };
}

}  // namespace naru::tool
