// The whole way from a picture to lines of text.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "geometry.h"
#include "network.h"
#include "picture.h"

namespace label_reader {

struct Line {
  std::string text;
  double confidence = 0;  ///< mean probability of the characters, 0 to 1
  Quad box{};             ///< corners in pixels, clockwise from the upper left of the text
};

struct StageTime {
  std::string name;
  double seconds = 0;          ///< of the whole stage
  double network_seconds = 0;  ///< of that, within the network
  int runs = 0;                ///< of the network
};

struct Label {
  std::vector<Line> lines;  ///< in reading order
  std::vector<StageTime> stages;
};

/// Holds the models. One thread at a time.
class Reader {
 public:
  /// @param models folder with ppocrv5_{det,cls,rec}.onnx and ppocrv5_keys.txt
  /// @param dump folder for what goes through the networks; empty for none
  /// @throws naru::Error as Engine::load.
  Reader(naru::Engine& engine, const std::filesystem::path& models,
         const std::filesystem::path& dump);

  /// Lines read with less than `min_confidence` are left out.
  Label read(const Picture& picture, double min_confidence);

  std::array<const Network*, 3> networks() const {
    return {&detector_, &classifier_, &recogniser_};
  }

 private:
  Network detector_;
  Network classifier_;
  Network recogniser_;
  std::vector<std::string> characters_;
};

}  // namespace label_reader
