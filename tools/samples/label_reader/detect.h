// Finds lines of text: the detection network, and boxes from its map of text probabilities.
#pragma once

#include <span>
#include <vector>

#include "geometry.h"
#include "network.h"
#include "picture.h"

namespace label_reader {

/// Differentiable binarization (Liao et al. 2020) with PaddleOCR's figures for PP-OCRv5.
struct DetectOptions {
  int longest_side = 960;        ///< of the network's input; larger pictures are shrunk
  float pixel_threshold = 0.3F;  ///< probability from which a pixel is text
  double box_threshold = 0.6;    ///< mean probability within a box
  double unclip_ratio = 1.5;     ///< how far boxes grow: area * ratio / perimeter
  double least_side = 3;         ///< in pixels of the map, before growing
};

/// Boxes in a map of `width` x `height` probabilities, in pixels of the map.
std::vector<Quad> boxes_of_map(std::span<const float> map, int width, int height,
                               const DetectOptions& options = {});

/// Runs the network on the picture; boxes are in pixels of the picture, and tall ones are turned so
/// that their text runs along.
std::vector<Quad> detect(const Picture& picture, Network& network,
                         const DetectOptions& options = {});

}  // namespace label_reader
