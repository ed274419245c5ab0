// One of the reader's models.
#include "network.h"

#include <chrono>
#include <fstream>

namespace label_reader {
namespace {

/// Writes an f32 tensor as NumPy's .npy, format 1.0.
void write_npy(const std::filesystem::path& path, const naru::Tensor& tensor) {
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (";
  for (const std::int64_t dim : tensor.shape()) header += std::to_string(dim) + ",";
  header += "), }";
  constexpr std::size_t kPreamble = 10, kAlignment = 64;
  header.append(kAlignment - 1 - (kPreamble + header.size()) % kAlignment, ' ');
  header += '\n';
  std::string content("\x93NUMPY\x01\x00", 8);
  content += static_cast<char>(header.size() & 0xff);
  content += static_cast<char>(header.size() >> 8);
  content += header;
  const auto values = tensor.as<float>();
  content.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());

  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (!file) {
    throw naru::Error(naru::ErrorCode::Io, "file '" + path.string() + "': cannot be written");
  }
}

}  // namespace

Network::Network(naru::Engine& engine, std::string name, const std::filesystem::path& model,
                 std::filesystem::path dump)
    : name_(std::move(name)),
      model_(engine.load(model)),
      session_(model_.create_session()),
      dump_(std::move(dump)) {
  if (model_.inputs().size() != 1 || model_.outputs().size() != 1) {
    throw naru::Error(naru::ErrorCode::InvalidModel,
                      "model '" + model.string() + "': got " +
                          std::to_string(model_.inputs().size()) + " inputs and " +
                          std::to_string(model_.outputs().size()) + " outputs, expected one each");
  }
}

naru::Tensor Network::run(const naru::Tensor& input) {
  last_ = {input};
  const auto start = std::chrono::steady_clock::now();
  naru::Tensor output = session_.run(last_).front().tensor;
  seconds_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  ++runs_;
  if (!dump_.empty()) {
    const std::string prefix = name_ + "_" + std::to_string(dumped_++);
    write_npy(dump_ / (prefix + "_input.npy"), input);
    write_npy(dump_ / (prefix + "_output.npy"), output);
  }
  return output;
}

void Network::reset_time() {
  seconds_ = 0;
  runs_ = 0;
}

std::map<std::pair<std::string, std::string>, int> Network::placement() const {
  std::map<std::pair<std::string, std::string>, int> counts;
  if (last_.empty()) return counts;
  for (const naru::PlacementRow& row : model_.placement(last_)) ++counts[{row.device, row.tier}];
  return counts;
}

naru::MemoryReport Network::memory() const {
  return last_.empty() ? naru::MemoryReport{} : model_.memory(last_);
}

}  // namespace label_reader
