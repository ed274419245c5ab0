// The driver's functions, found at run time, and its status codes as Error.
#pragma once

#include <string>

#include "backends/cuda/driver.h"

namespace naru::cuda {

struct Api {
#define CU(name, symbol, parameters) Status(*name) parameters = nullptr;
#include "backends/cuda/api.def"
#undef CU
};

/// The driver as it was found.
struct Driver {
  Api api;
  std::string missing;  ///< why it cannot be used, and what to do; empty when it can
};

/// Opens a driver by the name of its library.
Driver open_driver(const char* library);

/// Why there is no driver on this machine, or empty.
const std::string& missing();
/// The functions; only when missing() is empty.
const Api& api();

/// The driver's name of a status, for example "CUDA_ERROR_OUT_OF_MEMORY".
std::string status_name(Status status);
/// True when a context that returned it can never be used again.
bool is_sticky(Status status) noexcept;
/// @throws Error OutOfMemory or Device with the name, unless `status` is success.
void check(Status status, const char* what);

}  // namespace naru::cuda
