// Encoded pictures: each is decoded or refused; a result has the pixels that its size says.
#include "graph/ops/image/picture.h"
#include "tests/fuzz/fuzz_support.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  std::optional<Picture> picture;
  fuzz::accepts([&] { picture = decode_picture({reinterpret_cast<const std::byte*>(data), size}); });
  if (picture && picture->rgb.size() != static_cast<std::size_t>(picture->width * picture->height * 3)) {
    fuzz::finding("a picture without all of its pixels");
  }
  return 0;
}
