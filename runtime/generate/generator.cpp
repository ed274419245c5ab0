// Generator: takes requests, runs steps, samples, streams.
#include "naru/generate.h"

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include "graph/fail.h"
#include "runtime/engine_impl.h"
#include "runtime/generate/drafter.h"
#include "runtime/generate/language_model.h"
#include "runtime/generate/step_inputs.h"
#include "runtime/generate/step_planner.h"

namespace naru {

const char* to_string(FinishReason reason) noexcept {
  constexpr const char* kNames[] = {"end", "stop", "length", "context", "caller"};
  return kNames[static_cast<std::size_t>(reason)];
}

/// Shared by the caller's handles and the generator's thread.
struct Generation::State {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::exception_ptr error;
  GenerationResult result;
  std::atomic<bool> cancelled = false;
};

namespace {

/// One request on the generator's thread.
struct Job {
  Job(std::vector<TokenId> prompt, GenerationOptions own_options, const Tokenizer& tokenizer, std::int64_t vocab)
      : options(std::move(own_options)),
        sampler(sampling_of(options), vocab),
        detokenizer(tokenizer, true),
        stops(options.stop),
        draft_length(options.draft_tokens),
        state(std::make_shared<Generation::State>()) {
    sequence.prompt_tokens = static_cast<std::int64_t>(prompt.size());
    sequence.tokens = std::move(prompt);
    sequence.priority = options.priority;
    sequence.reuse = !options.prompt_logprobs;
    result.prompt_tokens = sequence.prompt_tokens;
    if (options.prompt_logprobs) result.prompt_logprobs.resize(sequence.tokens.size() - 1);
    for (const TokenId token : sequence.tokens) sampler.accept(token);
  }

  static SamplingParameters sampling_of(const GenerationOptions& options) {
    SamplingParameters parameters = options.sampling;
    // The token's own log-probability comes with those of the most probable ones.
    parameters.log_probabilities = options.logprobs < 0 ? 0 : std::max(options.logprobs, 1);
    return parameters;
  }

  /// Rows of a part whose logits are wanted, its last ones.
  std::int64_t wanted_rows(const StepPart& part) const {
    if (options.prompt_logprobs && sequence.cached < sequence.prompt_tokens) return part.rows;
    return part.last ? 1 + part.drafted : 0;
  }

  GenerationOptions options;
  Sequence sequence;
  Sampler sampler;
  std::optional<TokenConstraint> constraint;
  Detokenizer detokenizer;
  StopStrings stops;
  DraftLength draft_length;
  GenerationResult result;
  std::int64_t token_limit = 0;
  std::shared_ptr<Generation::State> state;
};

using JobPtr = std::unique_ptr<Job>;

/// Natural logarithm of the probability of `token`.
float log_probability(std::span<const float> logits, TokenId token) {
  const float top = *std::ranges::max_element(logits);
  double sum = 0;
  for (const float logit : logits) sum += std::exp(static_cast<double>(logit) - top);
  return static_cast<float>(logits[static_cast<std::size_t>(token)] - top - std::log(sum));
}

void finish(Job& job, std::exception_ptr error) {
  Generation::State& state = *job.state;
  {
    const std::lock_guard lock(state.mutex);
    job.result.end_ns = now_ns();
    job.result.preemptions = job.sequence.preemptions;
    state.result = std::move(job.result);
    state.error = error;
    state.done = true;
    state.changed.notify_all();
  }
  if (job.options.on_end) job.options.on_end(error);
}

StepPlanner::Limits limits_of(const GeneratorOptions& options) {
  StepPlanner::Limits limits{options.step_tokens, options.max_sequences, options.share_prefixes};
  if (options.deterministic) {
    limits.share_prefixes = false;
    // Half a step, so that prompts find room beside sequences that decode.
    limits.fixed_rows = std::max(options.step_tokens / 2, 1);
  }
  return limits;
}

std::unique_ptr<ModelDrafter> make_drafter(GeneratorOptions options, const LanguageModel& model) {
  if (!options.draft_model) return nullptr;
  options.context = model.context();
  return std::make_unique<ModelDrafter>(*options.draft_model, options, model.tokenizer());
}

}  // namespace

struct Generator::Impl {
  Impl(const Model& model, const GeneratorOptions& generator_options)
      : options(generator_options),
        language_model(model, options),
        pool(language_model.cache().pages, language_model.cache().page_tokens),
        planner(pool, limits_of(options)),
        drafter(make_drafter(options, language_model)),
        thread([this] { run(); }) {}

  ~Impl() {
    {
      const std::lock_guard lock(mutex);
      stopping = true;
    }
    arrived.notify_all();
    thread.join();
  }

  Generation submit(std::vector<TokenId> prompt, GenerationOptions request);
  void check_speculation(const GenerationOptions& request) const;
  ConstraintVocabulary constraint_vocabulary();
  void run();
  void take_arrivals();
  void drop_stopped();
  void step();
  void make_drafts();
  void count(const std::vector<StepPart>& parts);
  void use_logits(const StepPart& part, std::span<float> logits);
  bool advance(Job& job, std::span<float> logits);
  void log_token(const Job& job, std::int64_t time_ns);
  std::optional<FinishReason> accept(Job& job, SampledToken chosen);
  void end(Job& job, std::exception_ptr error);
  void end_all(const std::exception_ptr& error);
  void update_stats();

  GeneratorOptions options;
  LanguageModel language_model;
  PagePool pool;
  StepPlanner planner;
  std::unique_ptr<ModelDrafter> drafter;  // when there is a draft model
  std::map<const Sequence*, JobPtr> jobs;  // the thread's own

  std::mutex mutex;
  std::condition_variable arrived;
  std::vector<JobPtr> arrivals;
  std::optional<ConstraintVocabulary> vocabulary;
  std::uint64_t arrival_count = 0;
  GeneratorStats stats;
  bool stopping = false;
  std::thread thread;  // last: it uses everything above
};

/// The vocabulary as constraints need it, made when the first one comes.
ConstraintVocabulary Generator::Impl::constraint_vocabulary() {
  const std::lock_guard lock(mutex);
  if (!vocabulary) vocabulary.emplace(language_model.tokenizer());
  return *vocabulary;
}

void Generator::Impl::check_speculation(const GenerationOptions& request) const {
  if (request.draft_tokens < 1 || request.draft_tokens > 64) {
    fail(ErrorCode::InvalidArgument, "draft_tokens: got {}, expected 1 to 64", request.draft_tokens);
  }
  if (request.speculation == Speculation::Draft && drafter == nullptr) {
    fail(ErrorCode::InvalidArgument, "speculation: got Draft, and the generator has no draft model");
  }
}

Generation Generator::Impl::submit(std::vector<TokenId> prompt, GenerationOptions request) {
  language_model.check_prompt(prompt);
  check_speculation(request);
  auto job = std::make_unique<Job>(std::move(prompt), std::move(request), language_model.tokenizer(), language_model.vocab());
  const std::int64_t room = language_model.context() - job->sequence.prompt_tokens;
  job->token_limit = job->options.max_tokens > 0 ? std::min(job->options.max_tokens, room) : room;
  if (job->options.grammar) job->constraint.emplace(*job->options.grammar, constraint_vocabulary());
  job->result.arrival_ns = now_ns();
  Generation handle(job->state);
  {
    const std::lock_guard lock(mutex);
    if (stats.waiting + static_cast<int>(arrivals.size()) >= options.max_waiting) {
      fail(ErrorCode::OutOfMemory, "generator: {} requests wait already, the limit is {}", options.max_waiting,
           options.max_waiting);
    }
    job->sequence.arrival = arrival_count++;
    arrivals.push_back(std::move(job));
  }
  arrived.notify_all();
  return handle;
}

void Generator::Impl::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex);
      arrived.wait(lock, [&] { return stopping || !arrivals.empty() || !jobs.empty(); });
      if (stopping) break;
      take_arrivals();
    }
    drop_stopped();
    try {
      step();
    } catch (...) {
      // The step served all of them; what it left in their caches is unknown.
      end_all(std::current_exception());
    }
    update_stats();
  }
  {
    const std::lock_guard lock(mutex);
    take_arrivals();
  }
  end_all(std::make_exception_ptr(Error(ErrorCode::Cancelled, "generation: the generator was closed")));
}

/// With `mutex` held.
void Generator::Impl::take_arrivals() {
  for (JobPtr& job : arrivals) {
    Sequence& sequence = job->sequence;
    jobs.emplace(&sequence, std::move(job));
    planner.add(sequence);
  }
  arrivals.clear();
}

void Generator::Impl::end(Job& job, std::exception_ptr error) {
  planner.remove(job.sequence);
  if (drafter) drafter->forget(job.sequence);
  update_stats();  // first, so that who waited for the last one sees its pages free
  finish(job, std::move(error));
  jobs.erase(&job.sequence);
}

void Generator::Impl::end_all(const std::exception_ptr& error) {
  while (!jobs.empty()) end(*jobs.begin()->second, error);
}

/// Ends what was cancelled or is too late.
void Generator::Impl::drop_stopped() {
  const auto now = std::chrono::steady_clock::now();
  for (auto it = jobs.begin(); it != jobs.end();) {
    Job& job = *(it++)->second;
    if (job.state->cancelled.load(std::memory_order_relaxed)) {
      end(job, std::make_exception_ptr(Error(ErrorCode::Cancelled, "generation: cancelled by the caller")));
    } else if (job.options.deadline && now > *job.options.deadline) {
      end(job, std::make_exception_ptr(Error(ErrorCode::DeadlineExceeded, "generation: its deadline passed")));
    }
  }
}

/// Guesses for the sequences that decode and want some.
void Generator::Impl::make_drafts() {
  std::vector<DraftRequest> by_model;
  for (const auto& [_, job] : jobs) {
    Sequence& sequence = job->sequence;
    sequence.draft.clear();
    if (job->options.speculation == Speculation::None || options.deterministic || !sequence.decoding()) continue;
    // The step gives one token more than guesses are right.
    const std::int64_t left = job->token_limit - static_cast<std::int64_t>(job->result.tokens.size()) - 1;
    const std::int64_t most = std::min(job->draft_length.length(), left);
    if (most < 1) continue;
    if (job->options.speculation == Speculation::Lookup) sequence.draft = look_up(sequence.tokens, most);
    else by_model.push_back({&sequence, most});
  }
  if (!by_model.empty()) drafter->draft(by_model);
}

void Generator::Impl::step() {
  make_drafts();
  const std::vector<StepPart> parts = planner.plan();
  if (parts.empty()) return;
  std::vector<std::int64_t> wanted;
  for (const StepPart& part : parts) {
    Job& job = *jobs.at(part.sequence);
    wanted.push_back(job.wanted_rows(part));
    if (job.result.start_ns != 0) continue;
    job.result.start_ns = now_ns();
    job.result.reused_tokens = part.sequence->cached;
  }
  Tensor logits = language_model.run(step_inputs(parts, wanted, language_model.step_shape()));
  planner.complete(parts);
  count(parts);
  std::span<float> left = logits.as_mutable<float>();
  const auto vocab = static_cast<std::size_t>(language_model.vocab());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::size_t size = static_cast<std::size_t>(wanted[i]) * vocab;
    use_logits(parts[i], left.first(size));
    left = left.subspan(size);
  }
}

void Generator::Impl::count(const std::vector<StepPart>& parts) {
  std::int64_t rows = 0;
  for (const StepPart& part : parts) rows += part.rows;
  const std::lock_guard lock(mutex);
  ++stats.steps;
  stats.rows += rows;
  stats.padded_rows += padded_size(rows) - rows;
}

/// Takes the logits of the last rows of a part, one row after the other.
void Generator::Impl::use_logits(const StepPart& part, std::span<float> logits) {
  Job& job = *jobs.at(part.sequence);
  const auto vocab = static_cast<std::size_t>(language_model.vocab());
  if (job.options.prompt_logprobs) {
    auto position = static_cast<std::size_t>(job.sequence.cached) - logits.size() / vocab;
    for (std::span<float> row = logits; !row.empty(); row = row.subspan(vocab), ++position) {
      if (position >= job.result.prompt_logprobs.size()) break;
      job.result.prompt_logprobs[position] = log_probability(row.first(vocab), job.sequence.tokens[position + 1]);
    }
  }
  if (!part.last) return;
  const auto rows = static_cast<std::size_t>(1 + part.drafted) * vocab;
  const std::vector<TokenId> draft(job.sequence.draft.begin(), job.sequence.draft.begin() + part.drafted);
  std::int64_t right = 0;
  job.result.drafted_tokens += part.drafted;
  for (std::span<float> row = logits.last(rows);; row = row.subspan(vocab), ++right) {
    if (!advance(job, row.first(vocab))) return;
    if (right == part.drafted || job.sequence.tokens.back() != draft[static_cast<std::size_t>(right)]) break;
    // The guess is the token, and its row is in the cache.
    ++job.sequence.cached;
    ++job.result.accepted_tokens;
  }
  if (part.drafted > 0) job.draft_length.note(part.drafted, right);
}

/// Samples the next token of a sequence; false when it was the last one, and the job is gone. What goes
/// wrong here ends this one alone.
bool Generator::Impl::advance(Job& job, std::span<float> logits) {
  std::optional<FinishReason> reason;
  try {
    const TokenMask* mask = job.constraint ? &job.constraint->next_mask() : nullptr;
    reason = accept(job, job.sampler.sample(logits, mask));
  } catch (...) {
    end(job, std::current_exception());
    return false;
  }
  if (!reason) return true;
  job.result.finish = *reason;
  end(job, nullptr);
  return false;
}

/// From the token before, or the first step.
void Generator::Impl::log_token(const Job& job, std::int64_t time_ns) {
  const std::int64_t before = job.result.tokens.empty() ? job.result.start_ns : job.result.tokens.back().time_ns;
  language_model.log().append({.kind = EventKind::Token,
                               .request = static_cast<std::uint32_t>(job.sequence.arrival),
                               .start_ns = before,
                               .end_ns = time_ns});
}

/// Appends a token; says why it is the last one, if it is.
std::optional<FinishReason> Generator::Impl::accept(Job& job, SampledToken chosen) {
  const std::int64_t count = static_cast<std::int64_t>(job.result.tokens.size()) + 1;
  const bool end_token = !job.options.ignore_end && language_model.tokenizer().is_end_of_generation(chosen.id);
  const bool last = end_token || count >= job.token_limit;
  std::string text = end_token ? "" : job.stops.push(job.detokenizer.push(chosen.id));
  if (last) text += job.stops.push(job.detokenizer.finish()) + job.stops.finish();

  GeneratedToken token{chosen.id, std::move(text), chosen.log_probability, {}, now_ns()};
  for (int i = 0; i < job.options.logprobs; ++i) {
    const TokenLogProbability& top = chosen.top[static_cast<std::size_t>(i)];
    token.top.emplace_back(top.id, top.log_probability);
  }
  log_token(job, token.time_ns);
  job.sampler.accept(chosen.id);
  if (job.constraint) job.constraint->accept(chosen.id);
  job.sequence.tokens.push_back(chosen.id);
  job.result.text += token.text;
  job.result.tokens.push_back(token);
  if (job.options.on_token && !job.options.on_token(token)) return FinishReason::Caller;
  if (job.stops.stopped()) return FinishReason::Stop;
  if (end_token) return FinishReason::End;
  if (!last) return std::nullopt;
  return count == job.options.max_tokens ? FinishReason::Length : FinishReason::Context;
}

void Generator::Impl::update_stats() {
  const std::lock_guard lock(mutex);
  stats.running = static_cast<int>(planner.running());
  stats.waiting = static_cast<int>(planner.waiting());
  stats.preemptions = planner.preemptions();
  stats.pages_in_use = pool.in_use();
}

Generator::Generator(const Model& model, const GeneratorOptions& options)
    : impl_(std::make_shared<Impl>(model, options)) {}

Generation Generator::submit(std::vector<TokenId> prompt, GenerationOptions options) {
  return impl_->submit(std::move(prompt), std::move(options));
}

const Tokenizer& Generator::tokenizer() const { return impl_->language_model.tokenizer(); }
std::int64_t Generator::context() const { return impl_->language_model.context(); }

GeneratorStats Generator::stats() const {
  const std::lock_guard lock(impl_->mutex);
  GeneratorStats stats = impl_->stats;
  const CachePlan& cache = impl_->language_model.cache();
  stats.pages = cache.pages;
  stats.page_tokens = cache.page_tokens;
  stats.cache_bytes = cache.bytes();
  return stats;
}

GenerationResult Generation::wait() {
  std::unique_lock lock(state_->mutex);
  state_->changed.wait(lock, [&] { return state_->done; });
  if (state_->error != nullptr) std::rethrow_exception(state_->error);
  return state_->result;
}

bool Generation::done() const {
  const std::lock_guard lock(state_->mutex);
  return state_->done;
}

void Generation::cancel() { state_->cancelled.store(true, std::memory_order_relaxed); }

}  // namespace naru
