// JPEG 2000 by OpenJPEG: grey and RGB pictures of 8 bits, read from memory.
#include <algorithm>
#include <cstring>
#include <memory>

#include <openjpeg.h>

#include "graph/ops/image/picture.h"

namespace naru {
namespace {

/// A file of bytes in memory.
struct Source {
  Encoded bytes;
  std::size_t at = 0;
};

OPJ_SIZE_T read(void* to, OPJ_SIZE_T count, void* user) {
  auto& source = *static_cast<Source*>(user);
  const std::size_t taken = std::min<std::size_t>(count, source.bytes.size() - source.at);
  if (taken == 0) return static_cast<OPJ_SIZE_T>(-1);
  std::memcpy(to, source.bytes.data() + source.at, taken);
  source.at += taken;
  return taken;
}
OPJ_OFF_T skip(OPJ_OFF_T count, void* user) {
  auto& source = *static_cast<Source*>(user);
  const auto left = static_cast<OPJ_OFF_T>(source.bytes.size() - source.at);
  if (count < 0 || count > left) return -1;
  source.at += static_cast<std::size_t>(count);
  return count;
}
OPJ_BOOL seek(OPJ_OFF_T offset, void* user) {
  auto& source = *static_cast<Source*>(user);
  if (offset < 0 || static_cast<std::size_t>(offset) > source.bytes.size()) return OPJ_FALSE;
  source.at = static_cast<std::size_t>(offset);
  return OPJ_TRUE;
}

// Streams and codecs are both opaque, of one type: each has a deleter of its own.
struct StreamDeleter {
  void operator()(opj_stream_t* stream) const { opj_stream_destroy(stream); }
};
struct CodecDeleter {
  void operator()(opj_codec_t* codec) const { opj_destroy_codec(codec); }
};
struct ImageDeleter {
  void operator()(opj_image_t* image) const { opj_image_destroy(image); }
};

std::unique_ptr<opj_stream_t, StreamDeleter> stream_of(Source& source) {
  std::unique_ptr<opj_stream_t, StreamDeleter> stream(opj_stream_default_create(OPJ_TRUE));
  if (stream == nullptr) return stream;
  opj_stream_set_read_function(stream.get(), read);
  opj_stream_set_skip_function(stream.get(), skip);
  opj_stream_set_seek_function(stream.get(), seek);
  opj_stream_set_user_data(stream.get(), &source, nullptr);
  opj_stream_set_user_data_length(stream.get(), source.bytes.size());
  return stream;
}

/// One or three components of 8 bits, each as large as the picture.
bool is_plain(const opj_image_t& image) {
  if (image.numcomps != 1 && image.numcomps != 3) return false;
  const opj_image_comp_t* first = image.comps;
  return std::all_of(first, first + image.numcomps, [&](const opj_image_comp_t& part) {
    return part.prec == 8 && part.sgnd == 0 && part.w == image.comps[0].w && part.h == image.comps[0].h;
  });
}

}  // namespace

std::optional<Picture> decode_jpeg2000(Encoded bytes) {
  Source source{bytes};
  const auto stream = stream_of(source);
  const bool boxed = bytes.size() > 4 && bytes[0] == std::byte{0};
  const std::unique_ptr<opj_codec_t, CodecDeleter> codec(opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K));
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  if (stream == nullptr || codec == nullptr || opj_setup_decoder(codec.get(), &parameters) == OPJ_FALSE) return std::nullopt;
  opj_image_t* header = nullptr;
  const bool has_header = opj_read_header(stream.get(), codec.get(), &header) == OPJ_TRUE;
  const std::unique_ptr<opj_image_t, ImageDeleter> image(header);
  if (!has_header || image == nullptr || !is_plain(*image)) return std::nullopt;
  std::optional<Picture> picture = blank_picture(image->comps[0].w, image->comps[0].h, bytes);
  if (!picture || opj_decode(codec.get(), stream.get(), image.get()) == OPJ_FALSE) return std::nullopt;
  for (std::size_t channel = 0; channel < 3; ++channel) {
    const opj_image_comp_t& part = image->comps[image->numcomps == 3 ? channel : 0];
    if (part.data == nullptr) return std::nullopt;
    for (std::size_t i = 0; i < picture->rgb.size() / 3; ++i) picture->rgb[3 * i + channel] = static_cast<std::uint8_t>(part.data[i]);
  }
  return picture;
}

}  // namespace naru
