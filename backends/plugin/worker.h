// The worker's side of the wire: loads one plug-in and answers the host's calls.
#pragma once

namespace naru::plugin {

/// The descriptor that a worker finds its control channel at.
inline constexpr int kWorkerChannel = 3;

/// Serves until the host is gone; returns the exit code of the process.
int serve(int control_channel);

}  // namespace naru::plugin
