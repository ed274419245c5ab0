// naru_plugin_worker: the process that a plug-in runs in, started by libnaru and useless on its own.
#include "backends/plugin/worker.h"

int main() { return naru::plugin::serve(naru::plugin::kWorkerChannel); }
