// The container model.naru: header, FlatBuffers metadata (model.fbs), and a data section whose
// tensors are used in place.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/code_blob.h"
#include "graph/graph.h"

namespace naru {

/// All that a container holds.
struct Container {
  Graph graph;
  std::vector<CodeBlob> code;
};

struct SaveOptions {
  std::vector<CodeBlob> code = {};
  /// Off only to write broken files for tests.
  bool verify = true;
  /// Constants above this are written without their bytes: enough to ask about a graph, not to load it.
  std::int64_t max_constant_bytes = INT64_MAX;
};

/// Writes the container beside `path` and moves it there once it is safe on the disk: the file is
/// never seen half-written, and on an error the old one stays and nothing is left behind.
/// @throws Error Io, or InvalidModel for a graph that verify() refuses.
void save_naru(const Graph& graph, const std::filesystem::path& path,
               const SaveOptions& options = {});

/// The same bytes in memory.
std::vector<std::byte> naru_bytes(const Graph& graph, const SaveOptions& options = {});

struct LoadOptions {
  bool verify = true;  ///< off only to look at broken files
  bool infer = true;   ///< runs infer_types() after verify()
  /// Reads all tensors and compares their hashes. Without it the data section is not touched.
  bool verify_hashes = false;
};

/// Loads a container whose tensors stay in `bytes`, which `owner` keeps alive. Bytes that do not
/// start on a multiple of 64 are copied first, as a whole.
/// @throws Error InvalidModel, or Unsupported for what a newer naru wrote.
Container load_container(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                         const LoadOptions& options = {});
Graph load_naru(std::span<const std::byte> bytes, std::shared_ptr<const void> owner,
                const LoadOptions& options = {});

/// Maps a file and loads it.
Graph load_naru(const std::filesystem::path& path, const LoadOptions& options = {});

/// Reads a whole container and compares all hashes. @throws Error InvalidModel naming what differs.
void verify_naru_hashes(const std::filesystem::path& path);

/// True when the bytes begin as a container does.
bool looks_like_naru(std::span<const std::byte> bytes) noexcept;

}  // namespace naru
