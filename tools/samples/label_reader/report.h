// What the reader found and what it took, as text and as JSON.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "reader.h"

namespace label_reader {

/// One picture, read one or more times.
struct PictureReport {
  std::string path;
  int width = 0;
  int height = 0;
  std::vector<Label> readings;  ///< the first also pays for planning its shapes
};

void print_text(std::ostream& out, const std::vector<PictureReport>& pictures,
                const Reader& reader);
void print_json(std::ostream& out, const std::vector<PictureReport>& pictures,
                const Reader& reader);

}  // namespace label_reader
