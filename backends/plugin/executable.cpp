// PluginExecutable: compiled on first use by each link.
#include "backends/plugin/executable.h"

#include "backends/plugin/fragment.h"
#include "graph/fail.h"

namespace naru::plugin {

PluginExecutable::PluginExecutable(const PluginDevice& device, std::shared_ptr<const Graph> graph)
    : device_(device), graph_(std::move(graph)), bytes_(fragment_bytes(*graph_)) {
  id_on(device_.link());
}

PluginExecutable::~PluginExecutable() {
  if (link_.link != nullptr) link_.link->destroy(compiled_.id);
}

std::uint64_t PluginExecutable::id_on(const NumberedLink& link) const {
  const std::lock_guard lock(mutex_);
  if (link_.number != link.number) {
    compiled_ = link.link->compile(*bytes_);
    link_ = link;
  }
  return compiled_.id;
}

MemoryUse PluginExecutable::memory() const {
  const std::lock_guard lock(mutex_);
  return {static_cast<std::int64_t>(compiled_.weights_bytes), static_cast<std::int64_t>(compiled_.workspace_bytes)};
}

std::string PluginExecutable::describe() const {
  const std::lock_guard lock(mutex_);
  std::string text = fmt::format("{}: {} nodes in one executable\n", device_.info().id, graph_->nodes.size());
  if (compiled_.total_flops > 0) {
    text += fmt::format("padding: {:.1f} % of the work\n",
                        100.0 * static_cast<double>(compiled_.padded_flops) / static_cast<double>(compiled_.total_flops));
  }
  if (!compiled_.text.empty()) text += compiled_.text + (compiled_.text.back() == '\n' ? "" : "\n");
  return text;
}

}  // namespace naru::plugin
