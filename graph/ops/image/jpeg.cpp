// JPEG by libjpeg-turbo, whose smooth chroma upsampling ONNX asks for.
#include <csetjmp>
#include <cstdio>

#include <jpeglib.h>

#include "graph/ops/image/picture.h"

namespace naru {
namespace {

/// libjpeg ends a failed call by a jump, which must not pass objects with destructors.
struct JumpingErrors {
  jpeg_error_mgr base;
  std::jmp_buf back;
};

void jump_back(j_common_ptr codec) { std::longjmp(reinterpret_cast<JumpingErrors*>(codec->err)->back, 1); }
void stay_silent(j_common_ptr) {}

/// Reads the header. False when the bytes are no JPEG that can be had in RGB.
bool start(jpeg_decompress_struct& codec, JumpingErrors& errors, Encoded bytes) {
  if (setjmp(errors.back) != 0) return false;
  jpeg_create_decompress(&codec);
  jpeg_mem_src(&codec, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  if (jpeg_read_header(&codec, TRUE) != JPEG_HEADER_OK) return false;
  codec.out_color_space = JCS_RGB;
  return true;
}

bool read_rows(jpeg_decompress_struct& codec, JumpingErrors& errors, Picture& picture) {
  if (setjmp(errors.back) != 0) return false;
  jpeg_start_decompress(&codec);
  while (codec.output_scanline < codec.output_height) {
    JSAMPROW row = picture.rgb.data() + static_cast<std::size_t>(codec.output_scanline) * static_cast<std::size_t>(picture.width) * 3;
    jpeg_read_scanlines(&codec, &row, 1);
  }
  return true;
}

}  // namespace

std::optional<Picture> decode_jpeg(Encoded bytes) {
  jpeg_decompress_struct codec{};
  JumpingErrors errors{};
  codec.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = jump_back;
  errors.base.output_message = stay_silent;
  std::optional<Picture> picture;
  if (start(codec, errors, bytes)) picture = blank_picture(codec.image_width, codec.image_height, bytes);
  if (picture && !read_rows(codec, errors, *picture)) picture.reset();
  jpeg_destroy_decompress(&codec);
  return picture;
}

}  // namespace naru
