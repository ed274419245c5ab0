// Reads the tokenizer of a model without loading the model.
#include "runtime/text/read_tokenizer.h"

#include "graph/fail.h"
#include "graph/import/tokenizer_metadata.h"
#include "graph/load.h"

namespace naru::text {
namespace {

std::optional<std::string> read_metadata(const std::filesystem::path& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) return tokenizer_metadata(path);
  const ModelFile model = open_model_file(path);
  if (recognise_format(model.file->bytes(), path.extension().native()) == ModelFormat::Gguf) {
    return tokenizer_metadata(read_gguf(model.file->bytes(), model.file));
  }
  const Graph graph = load_model(path);
  const auto found = graph.metadata.find(kTokenizerMetadata);
  return found == graph.metadata.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace

Tokenizer read_tokenizer(const std::filesystem::path& path) {
  return with_context([&] { return fmt::format("reading the tokenizer of '{}'", path.string()); },
                      [&] {
                        const std::optional<std::string> metadata = read_metadata(path);
                        if (!metadata)
                          fail(ErrorCode::InvalidArgument, "the model has no tokenizer");
                        return Tokenizer::from_json(*metadata);
                      });
}

}  // namespace naru::text
