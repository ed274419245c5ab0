// Compares what chat templates render with what Python's Jinja renders
// (tools/dev/make_template_goldens.py).
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>

#include <nlohmann/json.hpp>

#include "naru/chat_template.h"
#include "naru/error.h"

namespace naru {
namespace {

using Json = nlohmann::ordered_json;

/// What a template renders, or the message with which it refuses.
std::pair<Json, std::string> render(const Json& item, const TemplateOptions& options) {
  try {
    const ChatTemplate parsed = ChatTemplate::parse(item.at("template").get<std::string>());
    return {parsed.render(item.at("variables").dump(), options).text, ""};
  } catch (const Error& error) {
    return {nullptr, error.what()};
  }
}

int run(const char* path) {
  std::ifstream file(path, std::ios::binary);
  const Json goldens = Json::parse(std::string{std::istreambuf_iterator<char>(file), {}});
  TemplateOptions options;
  options.now = goldens.at("now").get<std::time_t>();
  int different = 0;
  for (const Json& item : goldens.at("cases")) {
    const auto [output, message] = render(item, options);
    if (output == item.at("output")) continue;
    if (++different > 20) continue;
    std::printf("%s: %s\n  got      %s %s\n  expected %s\n", item.at("name").dump().c_str(),
                item.at("template").dump().substr(0, 400).c_str(), output.dump().c_str(),
                message.c_str(), item.at("output").dump().c_str());
  }
  std::printf("%zu templates, %d differ\n", goldens.at("cases").size(), different);
  return different == 0 && !goldens.at("cases").empty() ? 0 : 1;
}

}  // namespace
}  // namespace naru

int main(int argc, char** argv) { return argc == 2 ? naru::run(argv[1]) : 2; }
