// Status: the table of codes.
#include "backends/plugin/status.h"

#include <array>

#include "graph/fail.h"

namespace naru::plugin {
namespace {

struct Row {
  naru_code code;
  ErrorCode error;
};

// The first row of an error is the code that carries it back.
constexpr std::array kRows = {
    Row{NARU_INVALID_ARGUMENT, ErrorCode::InvalidArgument}, Row{NARU_INVALID_MODEL, ErrorCode::InvalidModel},
    Row{NARU_UNSUPPORTED, ErrorCode::Unsupported},          Row{NARU_OUT_OF_MEMORY, ErrorCode::OutOfMemory},
    Row{NARU_DEVICE_ERROR, ErrorCode::Device},              Row{NARU_DEVICE_LOST, ErrorCode::Device},
    Row{NARU_BUSY, ErrorCode::Device},                      Row{NARU_IO_ERROR, ErrorCode::Io},
    Row{NARU_CANCELLED, ErrorCode::Cancelled},              Row{NARU_TIMED_OUT, ErrorCode::Device},
    Row{NARU_INTERNAL, ErrorCode::Device},
};

}  // namespace

naru_status new_status() {
  naru_status status{};
  status.struct_size = sizeof status;
  return status;
}

ErrorCode error_code(naru_code code) {
  for (const Row& row : kRows) {
    if (row.code == code) return row.error;
  }
  return ErrorCode::Device;  // a code that no version of the header has: a fault
}

naru_code plugin_code(ErrorCode code) {
  for (const Row& row : kRows) {
    if (row.error == code) return row.code;
  }
  return NARU_INTERNAL;
}

void check(naru_code code, const naru_status& status, const std::string& plugin, const char* call) {
  if (code == NARU_OK) return;
  const std::string text(status.text, strnlen(status.text, sizeof status.text));
  fail(error_code(code), "plug-in {}: {} failed with code {}{}: {}", plugin, call, code,
       status.retryable != 0 ? " (retryable)" : "", text.empty() ? "no reason given" : text);
}

}  // namespace naru::plugin
