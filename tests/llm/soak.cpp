// Many sequences of mixed lengths at once, for as long as told, with cancels and preemptions: each gives what it
// gives alone, bit for bit, pages return, memory stays.
//
//   naru_llm_soak MODEL [SECONDS] [SEQUENCES] [DEVICE]
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <thread>

#include "naru/error.h"
#include "naru/generate.h"
#include "runtime/metrics.h"

namespace naru {
namespace {

constexpr std::size_t kCases = 24;
constexpr int kContext = 192;

struct Case {
  std::vector<TokenId> prompt;
  GenerationOptions options;
  std::vector<GeneratedToken> alone;  ///< what it gives with nothing beside it
};

std::vector<Case> make_cases(std::int64_t vocab, std::mt19937& random) {
  std::vector<Case> cases(kCases);
  std::vector<TokenId> beginning;
  for (int i = 0; i < 40; ++i) beginning.push_back(static_cast<TokenId>(random() % static_cast<unsigned>(vocab)));
  for (std::size_t i = 0; i < cases.size(); ++i) {
    Case& c = cases[i];
    if (i % 3 == 0) c.prompt = beginning;
    const int size = 1 + static_cast<int>(random() % 100);
    for (int k = 0; k < size; ++k) c.prompt.push_back(static_cast<TokenId>(random() % static_cast<unsigned>(vocab)));
    c.options.max_tokens = 1 + static_cast<std::int64_t>(random() % 40);
    c.options.ignore_end = true;
    c.options.logprobs = 0;
    c.options.sampling.temperature = i % 2 == 0 ? 0 : 0.8;
    c.options.sampling.seed = i;
    c.options.priority = static_cast<int>(i % 3);
    if (i % 4 == 1) c.options.speculation = Speculation::Lookup;
  }
  return cases;
}

bool same(const std::vector<GeneratedToken>& a, const std::vector<GeneratedToken>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const GeneratedToken& x, const GeneratedToken& y) {
    return x.id == y.id && x.logprob == y.logprob;
  });
}

bool same_ids(const std::vector<GeneratedToken>& a, const std::vector<GeneratedToken>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const GeneratedToken& x, const GeneratedToken& y) { return x.id == y.id; });
}

struct Totals {
  std::int64_t done = 0, cancelled = 0, other_bits = 0, other_tokens = 0;
};

/// One round: `sequences` at once, every seventh cancelled after a while.
void round(Generator& generator, const std::vector<Case>& cases, int sequences, std::mt19937& random, Totals& totals) {
  struct Running {
    const Case* c;
    Generation generation;
    bool cancel;
  };
  std::vector<Running> running;
  for (int i = 0; i < sequences; ++i) {
    const Case& c = cases[random() % cases.size()];
    running.push_back({&c, generator.submit(c.prompt, c.options), random() % 7 == 0});
  }
  for (Running& r : running) {
    if (!r.cancel) continue;
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 20));
    r.generation.cancel();
  }
  for (Running& r : running) {
    try {
      const GenerationResult result = r.generation.wait();
      ++totals.done;
      if (!same(result.tokens, r.c->alone)) ++totals.other_bits;
      if (!same_ids(result.tokens, r.c->alone)) ++totals.other_tokens;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::Cancelled || !r.cancel) throw;
      ++totals.cancelled;
    }
  }
}

/// Waits for the generator's thread to note that the last sequence ended.
bool pages_return(const Generator& generator) {
  for (int i = 0; i < 200; ++i) {
    if (generator.stats().pages_in_use == 0) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return false;
}

int run(const std::string& path, double seconds, int sequences, const std::string& device) {
  EngineOptions engine_options;
  engine_options.devices = {device};
  Engine engine(engine_options);
  const Model model = engine.load(path);
  GeneratorOptions alone;
  alone.context = kContext;
  alone.max_sequences = 1;
  alone.step_tokens = std::max(64, 2 * sequences);
  alone.deterministic = true;
  std::mt19937 random(1);
  std::vector<Case> cases;
  {
    Generator generator(model, alone);
    cases = make_cases(generator.tokenizer().vocab_size(), random);
    for (Case& c : cases) {
      GenerationOptions options = c.options;
      options.speculation = Speculation::None;
      c.alone = generator.submit(c.prompt, options).wait().tokens;
    }
  }
  GeneratorOptions together = alone;
  together.max_sequences = sequences;
  together.cache_tokens = std::max(kContext, sequences * 24);  // short: some must wait, some give way
  Generator generator(model, together);
  Totals totals;
  bool returned = true;
  std::int64_t warm_bytes = 0, rounds = 0;
  const auto begin = std::chrono::steady_clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count(); };
  while (passed() < seconds || rounds < 4) {
    round(generator, cases, sequences, random, totals);
    returned = pages_return(generator) && returned;
    engine.clear_log();  // which grows with what was done, by its nature
    // Plans and pools are warm after a fifth of the time.
    if (++rounds == 2 || passed() < seconds / 5) warm_bytes = resident_set().current_bytes;
  }
  const std::int64_t grown = resident_set().current_bytes - warm_bytes;
  const GeneratorStats stats = generator.stats();
  std::printf("%lld rounds of %d sequences in %.0f s on %s: %lld done, %lld cancelled, %lld preemptions\n",
              static_cast<long long>(rounds), sequences, passed(), device.c_str(), static_cast<long long>(totals.done),
              static_cast<long long>(totals.cancelled), static_cast<long long>(stats.preemptions));
  std::printf("other tokens than alone: %lld; other bits: %lld; pages returned: %s; memory grew by %.1f MiB to %.1f\n",
              static_cast<long long>(totals.other_tokens), static_cast<long long>(totals.other_bits), returned ? "yes" : "no",
              static_cast<double>(grown) / 1048576, static_cast<double>(resident_set().current_bytes) / 1048576);
  constexpr std::int64_t kSlack = INT64_C(32) << 20;
  const bool good = totals.other_bits == 0 && returned && grown < kSlack && stats.preemptions > 0 && totals.cancelled > 0;
  return good ? 0 : 1;
}

}  // namespace
}  // namespace naru

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "naru_llm_soak MODEL [SECONDS] [SEQUENCES] [DEVICE]\n");
    return 2;
  }
  try {
    return naru::run(argv[1], argc > 2 ? std::atof(argv[2]) : 600, argc > 3 ? std::atoi(argv[3]) : 64,
                     argc > 4 ? argv[4] : "cpu");
  } catch (const naru::Error& error) {
    std::fprintf(stderr, "naru_llm_soak: %s\n", error.what());
    return 1;
  }
}
