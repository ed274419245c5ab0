// naru perplexity: how well a language model predicts a text.
#include <cmath>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "tools/naru/commands.h"
#include "tools/naru/language_options.h"

namespace naru::tool {
namespace {

struct PerplexityCommand {
  LanguageOptions language;
  std::string file;
  std::int64_t window = 512;
  bool json = false;
};

/// Negative log-likelihoods of the second half of each window, whose tokens see at least half a window
/// before them; the way of llama.cpp's llama-perplexity, so that figures compare.
struct Sum {
  double negative_log_likelihood = 0;
  std::int64_t tokens = 0;
  std::int64_t windows = 0;
  double perplexity() const { return std::exp(negative_log_likelihood / static_cast<double>(tokens)); }
};

int run(const PerplexityCommand& command) {
  std::ifstream file(command.file, std::ios::binary);
  if (!file) fail(ErrorCode::Io, "file '{}': it could not be opened", command.file);
  const std::string text{std::istreambuf_iterator<char>(file), {}};

  Engine engine(command.language.device.engine_options());
  const Model model = command.language.load(engine);
  GeneratorOptions generator_options = command.language.generator_options(engine);
  generator_options.context = command.window + 1;
  Generator generator(model, generator_options);
  const Tokenizer& tokenizer = generator.tokenizer();
  const std::vector<TokenId> tokens = tokenizer.encode(text);
  const auto window = static_cast<std::size_t>(command.window);
  if (tokens.size() < window) {
    fail(ErrorCode::InvalidArgument, "file '{}': got {} tokens, expected at least one window of {}", command.file,
         tokens.size(), window);
  }
  GenerationOptions options;
  options.max_tokens = 1;
  options.prompt_logprobs = true;
  // A tokenizer that begins texts with a token begins every window with it.
  const bool begins = tokenizer.bos() && tokens.front() == *tokenizer.bos();
  Sum sum;
  for (std::size_t first = 0; first + window <= tokens.size(); first += window) {
    std::vector<TokenId> part(tokens.begin() + static_cast<std::ptrdiff_t>(first),
                              tokens.begin() + static_cast<std::ptrdiff_t>(first + window));
    if (begins) part.front() = *tokenizer.bos();
    const GenerationResult result = generator.submit(std::move(part), options).wait();
    for (std::size_t i = window / 2; i + 1 < window; ++i) {
      sum.negative_log_likelihood -= result.prompt_logprobs[i];
      ++sum.tokens;
    }
    ++sum.windows;
    std::cerr << fmt::format("\rnaru: {} of {} windows, perplexity {:.4f}", sum.windows, tokens.size() / window, sum.perplexity())
              << std::flush;
  }
  std::cerr << '\n';
  if (command.json) {
    std::cout << nlohmann::json{{"perplexity", sum.perplexity()}, {"tokens", sum.tokens}, {"windows", sum.windows},
                                {"window", command.window}}.dump(2) << '\n';
  } else {
    std::cout << fmt::format("perplexity {:.4f} over {} tokens in {} windows of {}\n", sum.perplexity(), sum.tokens,
                             sum.windows, command.window);
  }
  return kDone;
}

}  // namespace

Command add_perplexity(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("perplexity", "Measure how well a language model predicts a text");
  auto command = std::make_shared<PerplexityCommand>();
  command->language.add_model_to(*sub);
  sub->add_option("file", command->file, "Text file")->required();
  sub->add_option("--window", command->window, "Tokens of a window, of which the second half counts")
      ->check(CLI::Range(16, 1 << 20))
      ->capture_default_str();
  sub->add_flag("--json", command->json, "Print JSON");
  return [command] { return run(*command); };
}

}  // namespace naru::tool
