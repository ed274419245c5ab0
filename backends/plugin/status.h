// Status: the plug-in's codes and the host's errors, one table for both ways.
#pragma once

#include <string>

#include "naru/naru_plugin.h"
#include "naru/error.h"

namespace naru::plugin {

/// A status to hand to a call.
naru_status new_status();

/// @throws the Error that a code below 0 means, naming plug-in and call.
void check(naru_code code, const naru_status& status, const std::string& plugin, const char* call);

/// The kind of error that a code means.
ErrorCode error_code(naru_code code);
/// The code that carries this kind of error.
naru_code plugin_code(ErrorCode code);

}  // namespace naru::plugin
