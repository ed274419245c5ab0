// Error: text assembly.
#include "naru/error.h"

#include <string_view>

namespace naru {
namespace {

std::string full_text(const std::string& message, const std::vector<std::string>& context) {
  std::string text = message;
  for (const std::string& line : context) text += "\n  while " + line;
  return text;
}

}  // namespace

const char* to_string(ErrorCode code) noexcept {
  switch (code) {
    case ErrorCode::InvalidArgument: return "InvalidArgument";
    case ErrorCode::InvalidModel: return "InvalidModel";
    case ErrorCode::Unsupported: return "Unsupported";
    case ErrorCode::OutOfMemory: return "OutOfMemory";
    case ErrorCode::Device: return "Device";
    case ErrorCode::Io: return "Io";
    case ErrorCode::Cancelled: return "Cancelled";
    case ErrorCode::DeadlineExceeded: return "DeadlineExceeded";
    case ErrorCode::OutOfTolerance: return "OutOfTolerance";
    case ErrorCode::Internal: return "Internal";
  }
  return "Unknown";
}

Error::Error(ErrorCode code, std::string message) : Error(code, std::move(message), {}) {}

Error::Error(ErrorCode code, std::string message, std::vector<std::string> context)
    : std::runtime_error(full_text(message, context)),
      code_(code),
      message_(std::move(message)),
      context_(std::move(context)) {}

Error Error::with_context(std::string line) const {
  std::vector<std::string> context = context_;
  context.push_back(std::move(line));
  return Error(code_, message_, std::move(context));
}

void check_failed(const char* expression, const char* file, int line, const std::string& message) {
  std::string_view path = file;
  path.remove_prefix(path.find_last_of('/') + 1);
  throw Error(ErrorCode::Internal, message + " (this is a bug in naru: " + expression + " at " +
                                       std::string(path) + ":" + std::to_string(line) + ")");
}

}  // namespace naru
