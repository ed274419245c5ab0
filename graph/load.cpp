// Recognition of model formats by their first bytes.
#include "graph/load.h"

#include <algorithm>
#include <string>

#include "graph/fail.h"
#include "graph/import/gguf.h"
#include "graph/import/llm/gguf_model.h"
#include "graph/import/llm/hf_model.h"
#include "graph/import/onnx.h"
#include "graph/infer.h"
#include "graph/model_file.h"
#include "graph/serialize.h"
#include "graph/text.h"
#include "graph/verify.h"

namespace naru {
namespace {

using Bytes = std::span<const std::byte>;

/// Files that people take for models, to be named in the message.
struct Stranger {
  std::string_view start;
  const char* name;
};
constexpr Stranger kStrangers[] = {
    {"version https://git-lfs", "a Git LFS pointer in place of the file itself"},
    {"PK\x03\x04", "a zip archive, as PyTorch and Keras write"},
    {"\x80\x02", "a Python pickle, as PyTorch writes"},
    {"\x89HDF", "an HDF5 file, as Keras writes"},
    {"\x1f\x8b", "a gzip archive"},
    {"<?xml", "an XML file, as OpenVINO writes"},
    {"<!DOCTYPE", "a web page"},
    {"<html", "a web page"},
    {"{", "a JSON file"},
};

std::string_view as_text(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Reads a protobuf varint from the front; false when there is none.
bool take_varint(Bytes& bytes, std::uint64_t& value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = std::to_integer<std::uint64_t>(bytes[0]);
    bytes = bytes.subspan(1);
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

/// True when the bytes are a sequence of fields that ModelProto has. ONNX has no magic number.
bool looks_like_onnx(Bytes bytes) {
  constexpr std::uint64_t kVarint = 0, kLength = 2;
  bool has_graph = false;
  while (!bytes.empty()) {
    std::uint64_t tag = 0, value = 0;
    if (!take_varint(bytes, tag) || !take_varint(bytes, value)) return false;
    const std::uint64_t field = tag >> 3, wire = tag & 7;
    const bool number = field == 1 || field == 5;  // ir_version, model_version
    const bool known = number || (field >= 2 && field <= 8) || field == 14 || field == 20 ||
                       field == 25 || field == 26;
    if (!known || wire != (number ? kVarint : kLength)) return false;
    has_graph = has_graph || field == 7;
    if (number) continue;
    if (value > bytes.size()) return false;
    bytes = bytes.subspan(static_cast<std::size_t>(value));
  }
  return has_graph;
}

/// Eight bytes of length, then JSON.
bool looks_like_safetensors(Bytes bytes) { return bytes.size() > 9 && as_text(bytes)[8] == '{'; }

[[noreturn]] void fail_unknown(const std::string& label, Bytes bytes) {
  const std::string_view text = as_text(bytes);
  for (const Stranger& stranger : kStrangers) {
    if (text.starts_with(stranger.start)) {
      fail(ErrorCode::InvalidModel,
           "file {}: got {}, expected an ONNX, GGUF, naru or naru text model", label,
           stranger.name);
    }
  }
  fail(ErrorCode::InvalidModel,
       "file {}: got an unknown format that starts with {}, expected an ONNX, GGUF, naru or naru "
       "text model",
       label, quote_name(text.substr(0, 8)));
}

Graph load_language_model(const std::filesystem::path& path, const ModelLoadOptions& options) {
  const llm::CacheOptions cache{options.kv_type, options.page_tokens};
  Graph graph = std::filesystem::is_directory(path)
                    ? llm::build_hf_model(path, cache, options)
                    : llm::build_gguf_model(load_gguf(path), cache, options);
  verify(graph);
  infer_types(graph);
  return graph;
}

Graph load_own(Bytes bytes, const std::shared_ptr<const MappedFile>& file, const ModelLoadOptions& options) {
  Container container = load_container(bytes, file);
  if (options.code != nullptr) *options.code = std::move(container.code);
  return std::move(container.graph);
}

Graph load_as(ModelFormat format, const std::filesystem::path& path,
              const std::shared_ptr<const MappedFile>& file, const ModelLoadOptions& options) {
  const Bytes bytes = file->bytes();
  switch (format) {
    case ModelFormat::Naru: return load_own(bytes, file, options);
    case ModelFormat::Text: return parse_text(as_text(bytes), {.infer = true});
    case ModelFormat::Onnx: return load_onnx(path);
    case ModelFormat::Gguf: return load_language_model(path, options);
    case ModelFormat::Unknown: break;
  }
  if (looks_like_safetensors(bytes)) {
    fail(ErrorCode::Unsupported,
         "safetensors files hold weights alone, expected the folder that holds them and "
         "config.json");
  }
  fail_unknown(quote_name(path.native()), bytes);
}

}  // namespace

ModelFormat recognise_format(Bytes bytes, std::string_view extension) noexcept {
  if (looks_like_naru(bytes)) return ModelFormat::Naru;
  if (as_text(bytes).starts_with("GGUF")) return ModelFormat::Gguf;
  if (looks_like_text(as_text(bytes))) return ModelFormat::Text;
  if (looks_like_onnx(bytes)) return ModelFormat::Onnx;
  // A damaged model deserves the error of its own format.
  if (extension == ".onnx") return ModelFormat::Onnx;
  if (extension == ".naru") return ModelFormat::Naru;
  return ModelFormat::Unknown;
}

Graph load_model(const std::filesystem::path& path, const ModelLoadOptions& options) {
  std::error_code error;
  if (std::filesystem::exists(path / "config.json", error)) {
    return with_context([&] { return "loading " + quote_name(path.native()); },
                        [&] { return load_language_model(path, options); });
  }
  const std::shared_ptr<const MappedFile> file = open_model_file(path).file;
  if (file->bytes().empty())
    fail(ErrorCode::InvalidModel, "file {}: is empty, expected a model", quote_name(path.native()));
  const ModelFormat format = recognise_format(file->bytes(), path.extension().native());
  return with_context([&] { return "loading " + quote_name(path.native()); },
                      [&] { return load_as(format, path, file, options); });
}

}  // namespace naru
