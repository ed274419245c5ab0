// The whole way from a picture to lines of text.
#include "reader.h"

#include <chrono>

#include "detect.h"
#include "recognise.h"

namespace label_reader {
namespace {

/// Runs one stage and notes what it took.
template <typename Body>
StageTime timed(const char* name, const char* doing, Network& network, Body&& body) {
  network.reset_time();
  const auto start = std::chrono::steady_clock::now();
  naru::with_context([&] { return std::string(doing); }, body);
  const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
  return {name, taken.count(), network.seconds(), network.runs()};
}

}  // namespace

Reader::Reader(naru::Engine& engine, const std::filesystem::path& models,
               const std::filesystem::path& dump)
    : detector_(engine, "det", models / "ppocrv5_det.onnx", dump),
      classifier_(engine, "cls", models / "ppocrv5_cls.onnx", dump),
      recogniser_(engine, "rec", models / "ppocrv5_rec.onnx", dump),
      characters_(read_characters(models / "ppocrv5_keys.txt")) {}

Label Reader::read(const Picture& picture, double min_confidence) {
  Label label;
  std::vector<Quad> boxes;
  std::vector<Reading> readings;
  label.stages = {
      timed("detection", "finding the lines", detector_,
            [&] { boxes = detect(picture, detector_); }),
      timed("classification", "turning the lines upright", classifier_,
            [&] { turn_upright(picture, boxes, classifier_); }),
      timed("recognition", "reading the lines", recogniser_,
            [&] { readings = recognise(picture, boxes, recogniser_, characters_); }),
  };
  for (const std::size_t i : reading_order(boxes)) {
    if (readings[i].confidence < min_confidence || readings[i].text.empty()) continue;
    label.lines.push_back({readings[i].text, readings[i].confidence, boxes[i]});
  }
  return label;
}

}  // namespace label_reader
