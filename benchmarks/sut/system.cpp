// Which reason code an error becomes.
#include "benchmarks/sut/system.h"

#include <new>

#include "graph/fail.h"

namespace naru::bench {
namespace {

Reason reason_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::InvalidArgument: return Reason::Refused;
    case ErrorCode::InvalidModel: return Reason::InvalidModel;
    case ErrorCode::Unsupported: return Reason::Unsupported;
    case ErrorCode::OutOfMemory: return Reason::OutOfMemory;
    case ErrorCode::Device: return Reason::Device;
    case ErrorCode::Io: return Reason::NoModelFile;
    case ErrorCode::DeadlineExceeded: return Reason::Timeout;
    case ErrorCode::Cancelled: return Reason::Interrupted;
    case ErrorCode::OutOfTolerance: return Reason::GateFailed;
    case ErrorCode::Internal: return Reason::Internal;
  }
  return Reason::Internal;
}

}  // namespace

std::vector<InputSpec> at_batch(std::vector<InputSpec> inputs, std::int64_t batch) {
  bool taken = batch == 1;
  for (InputSpec& input : inputs) {
    for (std::int64_t& dim : input.dims) {
      if (dim != kBatchDim) continue;
      dim = batch;
      taken = true;
    }
  }
  if (!taken) fail(ErrorCode::InvalidArgument, "batch {}: no dimension of the model's 'shapes' is \"batch\"", batch);
  return inputs;
}

Reason reason_of_current_error(std::string& detail) {
  try {
    throw;
  } catch (const Failure& failure) {
    detail = failure.what();
    return failure.reason();
  } catch (const Error& error) {
    detail = error.what();
    return reason_of(error.code());
  } catch (const std::bad_alloc&) {
    detail = "the host refused an allocation";
    return Reason::OutOfMemory;
  } catch (const std::exception& error) {
    detail = error.what();
    return Reason::Internal;
  }
}

}  // namespace naru::bench
