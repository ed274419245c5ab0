// Chat templates: the input is a template, rendered with a fixed conversation under small limits.
#include <string>

#include "naru/chat_template.h"

#include "tests/fuzz/fuzz_support.h"

namespace {

constexpr const char* kVariables = R"({"messages": [{"role": "system", "content": "s <|im_end|>"},
  {"role": "user", "content": "가 b\n"}, {"role": "assistant", "content": null, "tool_calls": [{"id": "1",
  "function": {"name": "f", "arguments": {"x": [1, 2.5, true]}}}]}], "tools": [], "bos_token": "<s>",
  "add_generation_prompt": true})";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace naru;
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  TemplateOptions options;
  options.limits.steps = 20'000;
  options.limits.memory_bytes = 1 << 20;
  options.limits.output_bytes = 1 << 16;
  options.now = 1'000'000'000;
  fuzz::accepts([&] {
    const ChatTemplate parsed = ChatTemplate::parse(source);
    try {
      const Prompt prompt = parsed.render(kVariables, options);
      if (prompt.text.size() > static_cast<std::size_t>(options.limits.output_bytes))
        fuzz::finding("a prompt over its limit");
    } catch (const Error& error) {
      // The template may find the conversation wanting.
      if (error.code() != ErrorCode::InvalidArgument) throw;
    }
  });
  return 0;
}
