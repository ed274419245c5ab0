// Reads lines of text: which way up they stand, and what they say.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "geometry.h"
#include "network.h"
#include "picture.h"

namespace label_reader {

/// Text with the mean probability of its characters, 0 to 1.
struct Reading {
  std::string text;
  double confidence = 0;
};

/// Reads the characters of a recognition network: one a line, UTF-8, the first being no character
/// but the blank of connectionist temporal classification (CTC).
/// @throws naru::Error Io.
std::vector<std::string> read_characters(const std::filesystem::path& path);

/// The likeliest class of each step, repeats merged and blanks (class 0) dropped.
/// @param probabilities [steps, characters.size()]
Reading decode_ctc(std::span<const float> probabilities,
                   const std::vector<std::string>& characters);

/// Turns by 180 degrees the boxes whose text stands upside down.
void turn_upright(const Picture& picture, std::vector<Quad>& boxes, Network& classifier);

/// Reads each box.
std::vector<Reading> recognise(const Picture& picture, const std::vector<Quad>& boxes,
                               Network& recogniser, const std::vector<std::string>& characters);

}  // namespace label_reader
