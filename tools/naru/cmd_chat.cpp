// naru chat: a conversation with a language model on the terminal.
#include <atomic>
#include <csignal>
#include <fstream>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "graph/fail.h"
#include "tools/naru/chat_prompt.h"
#include "tools/naru/commands.h"
#include "tools/naru/language_options.h"

namespace naru::tool {
namespace {

constexpr const char* kHelp =
    "  /help         this text\n"
    "  /system TEXT  begin anew with this instruction\n"
    "  /history      the conversation so far, as JSON\n"
    "  /save FILE    write it to a file that naru generate --messages reads\n"
    "  /undo         take back the last question and its answer\n"
    "  /clear        begin anew\n"
    "  /quit         end; so does the end of the input\n"
    "  Ctrl-C ends an answer.\n";

std::atomic<bool> interrupted = false;

/// Lets Ctrl-C end an answer, and only that, while it lives.
class InterruptGuard {
 public:
  InterruptGuard() : before_(std::signal(SIGINT, [](int) { interrupted = true; })) { interrupted = false; }
  ~InterruptGuard() { std::signal(SIGINT, before_); }

 private:
  void (*before_)(int);
};

class Chat {
 public:
  Chat(const Model& model, Generator& generator, GenerationOptions options, const std::string& system)
      : generator_(generator), prompt_(model, generator.tokenizer()), options_(std::move(options)) {
    begin(system);
  }

  /// One line of input; false ends the chat.
  bool take(const std::string& line) {
    if (line.empty()) return true;
    if (line.front() != '/') {
      answer(line);
      return true;
    }
    const std::size_t space = line.find(' ');
    const std::string word = line.substr(0, space);
    const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
    if (word == "/quit") return false;
    command(word, rest);
    return true;
  }

 private:
  void begin(const std::string& system) {
    messages_ = nlohmann::json::array();
    if (!system.empty()) messages_.push_back({{"role", "system"}, {"content", system}});
  }

  void command(const std::string& word, const std::string& rest) {
    if (word == "/help") std::cerr << kHelp;
    else if (word == "/system") begin(rest);
    else if (word == "/clear") begin("");
    else if (word == "/history") std::cout << messages_.dump(2) << '\n';
    else if (word == "/save") save(rest);
    else if (word == "/undo") undo();
    else std::cerr << "naru: there is no command " << word << "; /help lists them\n";
  }

  void save(const std::string& path) const {
    std::ofstream file(path);
    file << messages_.dump(2) << '\n';
    if (!file.flush()) std::cerr << "naru: file '" << path << "' could not be written\n";
  }

  void undo() {
    for (int i = 0; i < 2 && !messages_.empty() && messages_.back()["role"] != "system"; ++i) messages_.erase(messages_.size() - 1);
  }

  /// An error ends this answer, not the chat; the question is taken back.
  void answer(const std::string& question) {
    messages_.push_back({{"role", "user"}, {"content", question}});
    try {
      const InterruptGuard guard;
      GenerationOptions options = options_;
      options.on_token = [](const GeneratedToken& token) {
        std::cout << token.text << std::flush;
        return !interrupted && std::cout;
      };
      const GenerationResult result = generator_.submit(prompt_.tokens(messages_), options).wait();
      std::cout << std::endl;
      messages_.push_back({{"role", "assistant"}, {"content", result.text}});
      if (result.finish == FinishReason::Context) std::cerr << "naru: the context is full; /clear begins anew\n";
    } catch (const Error& error) {
      messages_.erase(messages_.size() - 1);
      std::cerr << "naru: error: " << error.what() << '\n';
    }
  }

  Generator& generator_;
  ChatPrompt prompt_;
  GenerationOptions options_;
  nlohmann::json messages_;
};

}  // namespace

Command add_chat(CLI::App& app) {
  CLI::App* sub = app.add_subcommand("chat", "Talk with a language model");
  struct Options {
    LanguageOptions language;
    std::string system;
  };
  auto options = std::make_shared<Options>();
  options->language.add_model_to(*sub);
  options->language.add_sampling_to(*sub);
  options->language.add_speculation_to(*sub);
  sub->add_option("--system", options->system, "Instruction that the conversation begins with");
  sub->footer(std::string("Within the chat:\n") + kHelp);
  return [options] {
    Engine engine(options->language.device.engine_options());
    const Model model = options->language.load(engine);
    Generator generator(model, options->language.generator_options(engine));
    Chat chat(model, generator, options->language.generation, options->system);
    std::cerr << "naru: " << model.name() << ", context of " << generator.context() << " tokens; /help lists commands\n> ";
    for (std::string line; std::getline(std::cin, line);) {
      if (!chat.take(line)) break;
      std::cerr << "> ";
    }
    return kDone;
  };
}

}  // namespace naru::tool
