// GgufWriter: the head is collected in memory, the data go to the file as they come.
#include "graph/export/gguf_writer.h"

#include "graph/checked.h"

namespace naru {
namespace {

constexpr std::int64_t kAlignment = 32;
constexpr std::string_view kAlignmentKey = "general.alignment";

std::int64_t aligned(std::int64_t size) { return CheckedSize(size).align_up(kAlignment).value(); }

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

void GgufWriter::put_text(std::string& to, std::string_view text) {
  put_number<std::uint64_t>(to, text.size());
  to += text;
}

void GgufWriter::begin_entry(std::string_view key, GgufKind kind) {
  ++entry_count_;
  put_text(entries_, key);
  put_number(entries_, kind);
}

void GgufWriter::add(std::string_view key, std::string_view value) {
  begin_entry(key, GgufKind::String);
  put_text(entries_, value);
}

void GgufWriter::add(std::string_view key, std::uint32_t value) {
  begin_entry(key, GgufKind::U32);
  put_number(entries_, value);
}

void GgufWriter::add(std::string_view key, float value) {
  begin_entry(key, GgufKind::F32);
  put_number(entries_, value);
}

void GgufWriter::add(std::string_view key, bool value) {
  begin_entry(key, GgufKind::Bool);
  put_number<std::uint8_t>(entries_, value ? 1 : 0);
}

void GgufWriter::add(std::string_view key, std::span<const std::string> values) {
  begin_entry(key, GgufKind::Array);
  put_number(entries_, GgufKind::String);
  put_number<std::uint64_t>(entries_, values.size());
  for (const std::string& value : values) put_text(entries_, value);
}

void GgufWriter::add(std::string_view key, std::span<const std::int32_t> values) {
  begin_entry(key, GgufKind::Array);
  put_number(entries_, GgufKind::I32);
  put_number<std::uint64_t>(entries_, values.size());
  put(entries_, values.data(), values.size_bytes());
}

void GgufWriter::add(const GgufEntry& entry) {
  // Data are laid out anew.
  if (entry.key == kAlignmentKey) return;
  const GgufValue& value = entry.value;
  begin_entry(entry.key, value.is_array ? GgufKind::Array : value.kind);
  if (value.is_array) {
    put_number(entries_, value.kind);
    put_number<std::uint64_t>(entries_, static_cast<std::uint64_t>(value.count));
  }
  put(entries_, value.numbers.data(), value.numbers.size());
  for (const std::string_view text : value.strings) put_text(entries_, text);
}

void GgufWriter::declare(std::string_view name, DType dtype, const Shape& shape) {
  const std::optional<std::uint32_t> number = gguf_type_number(dtype);
  if (!number) {
    fail(ErrorCode::Unsupported, "tensor '{}': got element type {}, which GGUF files do not have", name,
         to_string(dtype));
  }
  put_text(infos_, name);
  put_number(infos_, static_cast<std::uint32_t>(shape.rank()));
  for (std::int64_t axis = shape.rank(); axis-- > 0;) {
    put_number<std::uint64_t>(infos_, static_cast<std::uint64_t>(shape[axis]));
  }
  put_number(infos_, *number);
  put_number<std::uint64_t>(infos_, static_cast<std::uint64_t>(data_bytes_));
  sizes_.push_back(storage_bytes(dtype, shape.numel()));
  data_bytes_ = checked_add(data_bytes_, aligned(sizes_.back()));
}

void GgufWriter::write_head() {
  if (head_written_) return;
  std::string head = "GGUF";
  put_number<std::uint32_t>(head, 3);
  put_number<std::uint64_t>(head, sizes_.size());
  put_number<std::uint64_t>(head, entry_count_);
  head += entries_ + infos_;
  head.resize(static_cast<std::size_t>(aligned(static_cast<std::int64_t>(head.size()))));
  file_.write(bytes_of(head));
  head_written_ = true;
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  write_head();
  const auto size = static_cast<std::int64_t>(bytes.size());
  NARU_CHECK(current_ < sizes_.size() && size <= sizes_[current_] - written_,
             "bytes of a tensor that was not declared so large");
  file_.write(bytes);
  written_ += size;
  if (written_ < sizes_[current_]) return;
  const std::string padding(static_cast<std::size_t>(aligned(written_) - written_), '\0');
  file_.write(bytes_of(padding));
  ++current_;
  written_ = 0;
}

void GgufWriter::commit() {
  write_head();
  while (current_ < sizes_.size() && sizes_[current_] == 0) ++current_;
  NARU_CHECK(current_ == sizes_.size(), "a tensor was declared and not written");
  file_.commit();
}

}  // namespace naru
