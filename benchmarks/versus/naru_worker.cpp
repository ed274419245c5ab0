// One side of a comparison: loads a model in naru, then runs it on command from standard input.
//
// Commands, one JSON object a line: {"load": MODEL, "inputs": [FILE.npy...], "threads": N},
// {"run": COUNT}, {"probe": THREADS}, {"quit": 0}. Each answers with one JSON object a line.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "benchmarks/probe.h"
#include "naru/naru.h"
#include "runtime/event_log.h"
#include "tools/io/npy.h"

namespace naru::bench {
namespace {

class Worker {
 public:
  nlohmann::json answer(const nlohmann::json& command) {
    if (command.contains("load")) return load(command);
    if (command.contains("run")) return run(command.at("run").get<int>());
    if (command.contains("probe")) return probe(command.at("probe").get<int>());
    throw Error(ErrorCode::InvalidArgument, "command: got " + command.dump() + ", expected load, run, probe or quit");
  }

 private:
  nlohmann::json load(const nlohmann::json& command) {
    const std::int64_t start = now_ns();
    EngineOptions options;
    options.devices = {command.value("device", "cpu")};
    options.threads = command.at("threads").get<int>();
    engine_ = std::make_unique<Engine>(options);
    session_ = std::make_unique<Session>(engine_->load(command.at("load").get<std::string>()).create_session());
    inputs_.clear();
    for (const auto& file : command.at("inputs")) inputs_.emplace_back(io::read_npy(file.get<std::string>()));
    const std::int64_t loaded = now_ns();
    session_->run(inputs_);
    return {{"load_s", static_cast<double>(loaded - start) * 1e-9},
            {"first_result_s", static_cast<double>(now_ns() - start) * 1e-9}};
  }

  nlohmann::json run(int count) {
    std::vector<double> seconds;
    for (int i = 0; i < count; ++i) {
      const std::int64_t start = now_ns();
      session_->run(inputs_);
      seconds.push_back(static_cast<double>(now_ns() - start) * 1e-9);
    }
    engine_->clear_log();
    return {{"seconds", seconds}};
  }

  static nlohmann::json probe(int threads) {
    return {{"fma_gflops", peak_fma_gflops(threads)}, {"read_gbs", read_bandwidth_gbs(threads)}, {"isa", vector_isa()}};
  }

  std::unique_ptr<Engine> engine_;
  std::unique_ptr<Session> session_;
  std::vector<Datum> inputs_;
};

int main() {
  Worker worker;
  for (std::string line; std::getline(std::cin, line);) {
    const nlohmann::json command = nlohmann::json::parse(line, nullptr, false);
    if (command.contains("quit")) return 0;
    nlohmann::json answer;
    try {
      answer = worker.answer(command);
    } catch (const std::exception& error) {
      answer = {{"error", error.what()}};
    }
    std::cout << answer.dump() << std::endl;
  }
  return 0;
}

}  // namespace
}  // namespace naru::bench

int main() { return naru::bench::main(); }
