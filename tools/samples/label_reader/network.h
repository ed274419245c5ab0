// One of the reader's models: runs it, notes how long that took, and can write down what went
// through it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "naru/naru.h"

namespace label_reader {

class Network {
 public:
  /// Loads a model of one input and one output. With a folder in `dump`, every run writes its input
  /// and output there as <name>_<number>_{input,output}.npy.
  /// @throws naru::Error as Engine::load, and InvalidModel for other inputs or outputs.
  Network(naru::Engine& engine, std::string name, const std::filesystem::path& model,
          std::filesystem::path dump);

  naru::Tensor run(const naru::Tensor& input);

  const std::string& name() const { return name_; }
  /// Time in run() and number of its calls since the last call of reset_time().
  double seconds() const { return seconds_; }
  int runs() const { return runs_; }
  void reset_time();

  /// How many nodes run on which device, as {device, how}; empty before the first run.
  std::map<std::pair<std::string, std::string>, int> placement() const;
  /// For the shapes of the last run.
  naru::MemoryReport memory() const;

 private:
  std::string name_;
  naru::Model model_;
  naru::Session session_;
  std::filesystem::path dump_;
  std::vector<naru::Datum> last_;
  double seconds_ = 0;
  int runs_ = 0;
  int dumped_ = 0;
};

}  // namespace label_reader
