// Beam search over a Generator: each beam asks for one token with its most probable alternatives.
#include "naru/beam_search.h"

#include <algorithm>
#include <cmath>

#include "graph/fail.h"

namespace naru {
namespace {

struct Candidate {
  std::size_t beam = 0;
  TokenId token = 0;
  double logprob = 0;
};

/// The most probable next tokens of every beam, of all beams together the best first.
std::vector<Candidate> candidates(Generator& generator, const std::vector<TokenId>& prompt,
                                  const std::vector<Beam>& beams, int count) {
  GenerationOptions options;
  options.max_tokens = 1;
  options.ignore_end = true;
  options.logprobs = count;
  std::vector<Generation> running;
  for (const Beam& beam : beams) {
    std::vector<TokenId> tokens = prompt;
    tokens.insert(tokens.end(), beam.tokens.begin(), beam.tokens.end());
    running.push_back(generator.submit(std::move(tokens), options));
  }
  std::vector<Candidate> all;
  for (std::size_t i = 0; i < running.size(); ++i) {
    const GenerationResult result = running[i].wait();
    for (const auto& [token, logprob] : result.tokens.front().top) {
      all.push_back({i, token, beams[i].logprob + static_cast<double>(logprob)});
    }
  }
  std::ranges::stable_sort(all, std::ranges::greater(), &Candidate::logprob);
  if (all.size() > static_cast<std::size_t>(count)) all.resize(static_cast<std::size_t>(count));
  return all;
}

double score_of(const Beam& beam, double length_penalty) {
  return beam.logprob / std::pow(static_cast<double>(beam.tokens.size()), length_penalty);
}

void check(const BeamOptions& options, const Generator& generator, std::size_t prompt) {
  const std::int64_t room = generator.context() - static_cast<std::int64_t>(prompt);
  if (options.beams < 1 || options.beams > 64 || 2 * options.beams > generator.tokenizer().vocab_size()) {
    fail(ErrorCode::InvalidArgument, "beams: got {}, expected 1 to 64 and at most half the {} tokens", options.beams,
         generator.tokenizer().vocab_size());
  }
  if (options.max_tokens < 1 || options.max_tokens > room) {
    fail(ErrorCode::InvalidArgument, "max_tokens: got {}, expected 1 to the {} that the context leaves",
         options.max_tokens, room);
  }
  if (!std::isfinite(options.length_penalty)) {
    fail(ErrorCode::InvalidArgument, "length_penalty: got {}, expected a finite number", options.length_penalty);
  }
}

class Search {
 public:
  Search(Generator& generator, const BeamOptions& options)
      : generator_(generator), options_(options), width_(static_cast<std::size_t>(options.beams)) {}

  /// One token more for every beam that lives.
  void step(const std::vector<TokenId>& prompt) {
    std::vector<Beam> next;
    const std::vector<Candidate> found = candidates(generator_, prompt, live_, 2 * options_.beams);
    for (std::size_t rank = 0; rank < found.size() && next.size() < width_; ++rank) {
      Beam beam = live_[found[rank].beam];
      beam.tokens.push_back(found[rank].token);
      beam.logprob = found[rank].logprob;
      beam.ended = generator_.tokenizer().is_end_of_generation(found[rank].token);
      if (!beam.ended) next.push_back(std::move(beam));
      else if (rank < width_) finish(std::move(beam));
    }
    live_ = std::move(next);
  }

  /// Whether no beam that lives could still enter the finished ones, judged by its score now.
  bool done() const {
    if (live_.empty()) return true;
    return finished_.size() == width_ && finished_.back().score >= score_of(live_.front(), options_.length_penalty);
  }

  std::vector<Beam> take() {
    for (Beam& beam : live_) finish(std::move(beam));
    return std::move(finished_);
  }

 private:
  void finish(Beam beam) {
    beam.score = score_of(beam, options_.length_penalty);
    const auto place = std::ranges::upper_bound(finished_, beam.score, std::ranges::greater(), &Beam::score);
    finished_.insert(place, std::move(beam));
    if (finished_.size() > width_) finished_.pop_back();
  }

  Generator& generator_;
  const BeamOptions& options_;
  std::size_t width_;
  std::vector<Beam> live_{Beam{}};
  std::vector<Beam> finished_;  // the best first
};

}  // namespace

std::vector<Beam> beam_search(Generator& generator, const std::vector<TokenId>& prompt, const BeamOptions& options) {
  check(options, generator, prompt.size());
  Search search(generator, options);
  for (std::int64_t i = 0; i < options.max_tokens; ++i) {
    search.step(prompt);
    if (search.done()) break;
  }
  return search.take();
}

}  // namespace naru
