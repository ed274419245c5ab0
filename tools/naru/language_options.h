// The options of the commands that run language models: the model, its caches, sampling.
#pragma once

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "naru/generate.h"
#include "tools/naru/engine_options.h"

namespace naru::tool {

struct LanguageOptions {
  std::string model, draft_model;
  DeviceChoice device;
  std::string kv_type = "f16";
  std::vector<std::string> lora;
  double lora_scale = 1;
  GeneratorOptions generator;
  GenerationOptions generation;

  /// The model and what bounds its memory.
  void add_model_to(CLI::App& command) {
    command.add_option("model", model, "Model: .gguf, .naru, or a Hugging Face folder")->required();
    device.add_to(command);
    command.add_option("--ctx", generator.context, "Tokens that a sequence may have; 0: the model's, at most 4096")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 24));
    command.add_option("--kv-type", kv_type, "Element type of the KV caches")
        ->check(CLI::IsMember({"f32", "f16", "bf16", "q8_0", "q4_0"}))
        ->capture_default_str();
    command.add_option("--lora", lora, "LoRA adapter: a GGUF file, or a folder of PEFT's; may be given again");
    command.add_option("--lora-scale", lora_scale, "Strength of the adapters")->capture_default_str();
    command.add_option("--step-tokens", generator.step_tokens, "Rows of one step; long prompts are cut into such parts")
        ->check(CLI::Range(1, 65536))
        ->capture_default_str();
  }

  /// How tokens are drawn.
  void add_sampling_to(CLI::App& command) {
    SamplingParameters& s = generation.sampling;
    command.add_option("--max-tokens", generation.max_tokens, "Tokens to generate; 0: up to the context")
        ->check(CLI::Range(std::int64_t{0}, std::int64_t{1} << 24))
        ->capture_default_str();
    command.add_option("--temperature", s.temperature, "0: always the most probable token")->capture_default_str();
    command.add_option("--top-k", s.top_k, "Keep the K most probable tokens; 0: all")->capture_default_str();
    command.add_option("--top-p", s.top_p, "Keep the most probable tokens that reach this share")->capture_default_str();
    command.add_option("--min-p", s.min_p, "Drop tokens less probable than this share of the best")->capture_default_str();
    command.add_option("--typical-p", s.typical_p, "Keep the most typical tokens that reach this share")->capture_default_str();
    command.add_option("--repetition-penalty", s.repetition_penalty, "Above 1: tokens seen become less probable")->capture_default_str();
    command.add_option("--presence-penalty", s.presence_penalty, "Subtracted once from tokens generated")->capture_default_str();
    command.add_option("--frequency-penalty", s.frequency_penalty, "Subtracted for each time a token was generated")->capture_default_str();
    command.add_option("--seed", s.seed, "Seed of the draws")->capture_default_str();
    command.add_option("--stop", generation.stop, "Text that ends the generation; may be given again");
  }

  /// How tokens are guessed ahead.
  void add_speculation_to(CLI::App& command) {
    static const std::map<std::string, Speculation> kKinds{{"lookup", Speculation::Lookup}, {"draft", Speculation::Draft}};
    CLI::Option* kind = command.add_option("--speculative", generation.speculation,
                                           "Guess tokens ahead, from the text so far (lookup) or by a smaller model (draft)");
    kind->transform(CLI::CheckedTransformer(kKinds));
    command.add_option("--draft", draft_model, "The smaller model of --speculative draft; has the same tokens")->needs(kind);
    command.add_option("--draft-tokens", generation.draft_tokens, "Guesses at a time")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
  }

  Model load(Engine& engine) const { return load(engine, model); }

  Model load(Engine& engine, const std::string& path) const {
    ModelOptions options;
    options.kv_type = *dtype_from_string(kv_type);
    constexpr std::int64_t kUsualContext = 4096;  // what a generator has when it is told nothing
    options.context = generator.context > 0 ? generator.context : kUsualContext;
    if (path == model) options.adapters = adapters();
    return engine.load(path, options);
  }

  std::vector<LoraAdapter> adapters() const {
    std::vector<LoraAdapter> all;
    for (const std::string& path : lora) all.push_back({path, lora_scale});
    return all;
  }

  GeneratorOptions generator_options(Engine& engine) const {
    GeneratorOptions options = generator;
    options.max_sequences = 1;
    if (!draft_model.empty()) options.draft_model = load(engine, draft_model);
    options.memory_budget_bytes = device.engine_options().memory_budget_bytes;
    return options;
  }
};

}  // namespace naru::tool
