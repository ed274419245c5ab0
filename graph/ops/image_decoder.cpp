// ImageDecoder: pictures out of encoded files.
#include <algorithm>

#include "graph/ops/families.h"
#include "graph/ops/image/picture.h"
#include "graph/ops/nn_rules.h"

namespace naru {
namespace {

enum class PixelFormat : std::uint8_t { Rgb, Bgr, Grey };

PixelFormat format_of(const Node& node) { return static_cast<PixelFormat>(expect_choice(node, "pixel_format", {"RGB", "BGR", "Grayscale"})); }

void infer_image_decoder(InferContext& ctx) {
  expect_type(ctx, 0, {DType::U8});
  expect_rank(ctx, 0, 1);
  const std::int64_t channels = format_of(ctx.node) == PixelFormat::Grey ? 1 : 3;
  ctx.set_output(0, DType::U8, {ctx.fresh_dim(), ctx.fresh_dim(), Dim(channels)});
}

/// Luminance by ITU-R 601-2, in 16-bit fixed point.
std::uint8_t grey_of(const std::uint8_t* rgb) {
  return static_cast<std::uint8_t>((rgb[0] * 19595u + rgb[1] * 38470u + rgb[2] * 7471u + 0x8000u) >> 16);
}

void reference_image_decoder(ReferenceContext& ctx) {
  const Tensor& input = ctx.input(0);
  const PixelFormat format = format_of(ctx.node);
  // ONNX: what cannot be decoded is an empty matrix.
  const Picture picture = decode_picture({input.data(), static_cast<std::size_t>(input.size_bytes())}).value_or(Picture{});
  Tensor& output = ctx.output(0, DType::U8, {picture.height, picture.width, format == PixelFormat::Grey ? 1 : 3});
  auto* to = output.as_mutable<std::uint8_t>().data();
  for (std::size_t i = 0; i < picture.rgb.size(); i += 3) {
    const std::uint8_t* pixel = picture.rgb.data() + i;
    if (format == PixelFormat::Grey) *to++ = grey_of(pixel);
    else if (format == PixelFormat::Rgb) to = std::copy_n(pixel, 3, to);
    else to = std::reverse_copy(pixel, pixel + 3, to);
  }
}

}  // namespace

void define_image_decoder(std::vector<OpDef>& ops) {
  ops.push_back({
      .name = "ImageDecoder",
      .since_version = 20,
      .doc = "Decodes BMP, JPEG, JPEG 2000, PNG, PGM, PPM, TIFF or WebP.",
      .source = "ONNX ImageDecoder-20",
      .inputs = {{"encoded_stream", "u8 vector: the bytes of a file"}},
      .outputs = {{"image", "u8 [height, width, channels]; empty when the bytes are no picture"}},
      .attributes = {{"pixel_format", AttrKind::String, "RGB, BGR or Grayscale", std::string("RGB")}},
      .infer = infer_image_decoder,
      .reference = reference_image_decoder,
      .dynamic_output = true,
  });
}

}  // namespace naru
