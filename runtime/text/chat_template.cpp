// ChatTemplate: parses once, renders within limits, and tells apart what the variables gave.
#include "naru/chat_template.h"

#include "graph/fail.h"
#include "runtime/text/jinja/interpreter.h"
#include "runtime/text/unicode.h"

namespace naru {

struct ChatTemplate::Impl {
  jinja::Body body;
};

ChatTemplate ChatTemplate::parse(std::string_view source) {
  if (!text::is_well_formed(source))
    fail(ErrorCode::InvalidModel, "chat template: got ill-formed UTF-8");
  auto impl = std::make_shared<Impl>();
  impl->body = jinja::parse_template(source);
  return ChatTemplate(std::move(impl));
}

Prompt ChatTemplate::render(std::string_view variables, const TemplateOptions& options) const {
  jinja::Context context(options);
  const jinja::Value values = jinja::parse_variables(variables, context.budget);
  jinja::MarkedText text = jinja::render(context, impl_->body, values);
  Prompt prompt;
  for (std::size_t begin = 0; (begin = text.marks.find('\1', begin)) != std::string::npos;) {
    const std::size_t end = std::min(text.marks.find('\0', begin), text.marks.size());
    prompt.input.push_back({begin, end});
    begin = end;
  }
  prompt.text = std::move(text.bytes);
  return prompt;
}

}  // namespace naru
