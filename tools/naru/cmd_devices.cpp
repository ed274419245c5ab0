// naru devices: what this machine has, and what is missing and why.
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "naru/engine.h"
#include "tools/naru/commands.h"
#include "tools/naru/table.h"

namespace naru::tool {
namespace {

void print_json() {
  nlohmann::json list = nlohmann::json::array();
  for (const DeviceDescription& device : list_devices()) {
    list.push_back({{"id", device.id},
                    {"name", device.name},
                    {"description", device.description},
                    {"memory_bytes", device.memory_bytes},
                    {"features", device.features},
                    {"available", device.available},
                    {"unavailable_reason", device.unavailable_reason}});
  }
  std::cout << nlohmann::json{{"devices", list}}.dump(2) << '\n';
}

void print_table() {
  Table table({"device", "name", ">memory", "description"});
  for (const DeviceDescription& device : list_devices()) {
    table.add({device.id, device.name, device.memory_bytes > 0 ? bytes_text(device.memory_bytes) : "-",
               device.available ? device.description : "not available: " + device.unavailable_reason});
  }
  table.print(std::cout);
}

}  // namespace

Command add_devices(CLI::App& app) {
  CLI::App* command = app.add_subcommand("devices", "List the devices of this machine");
  auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "Print JSON");
  return [json] {
    *json ? print_json() : print_table();
    return kDone;
  };
}

}  // namespace naru::tool
