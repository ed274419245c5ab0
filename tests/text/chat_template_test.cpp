// ChatTemplate: limits, places of errors, and what counts as input.
#include "naru/chat_template.h"

#include <gtest/gtest.h>

#include "naru/error.h"

namespace naru {
namespace {

std::string render(const std::string& source, const std::string& variables = "{}") {
  return ChatTemplate::parse(source).render(variables).text;
}

/// The error of parsing and rendering; Internal when there is none.
std::pair<ErrorCode, std::string> failure(const std::string& source,
                                          const std::string& variables = "{}") {
  try {
    render(source, variables);
  } catch (const Error& error) {
    return {error.code(), error.what()};
  }
  return {ErrorCode::Internal, "no error"};
}

TEST(ChatTemplate, MarksWhatTheVariablesGave) {
  const Prompt prompt = ChatTemplate::parse("<a>{{ m.strip() + '<b>' + (m | upper)[1:] }}<c>")
                            .render(R"({"m": " xy "})");
  EXPECT_EQ(prompt.text, "<a>xy<b>XY <c>");
  ASSERT_EQ(prompt.input.size(), 2U);
  EXPECT_EQ(prompt.text.substr(prompt.input[0].begin, prompt.input[0].end - prompt.input[0].begin),
            "xy");
  EXPECT_EQ(prompt.text.substr(prompt.input[1].begin, prompt.input[1].end - prompt.input[1].begin),
            "XY ");
}

TEST(ChatTemplate, NamesThePlaceOfErrors) {
  const auto [code, message] = failure("line one\n  {{ x ++ }}");
  EXPECT_EQ(code, ErrorCode::InvalidModel);
  EXPECT_NE(message.find("line 2, column"), std::string::npos) << message;
  EXPECT_NE(failure("\n\n{{ missing.attribute }}").second.find("line 3"), std::string::npos);
  EXPECT_EQ(failure("{{ raise_exception('no tools here') }}").first, ErrorCode::InvalidArgument);
  EXPECT_NE(failure("{{ raise_exception('no tools here') }}").second.find("no tools here"),
            std::string::npos);
}

TEST(ChatTemplate, RefusesWhatItDoesNotHave) {
  for (const char* source :
       {"{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{{ x | nosuch }}",
        "{{ x is nosuch }}", "{% for x in y recursive %}{% endfor %}", "{{ f(*a) }}"}) {
    EXPECT_EQ(failure(source).first, ErrorCode::Unsupported) << source;
  }
  for (const char* source : {"{% if x %}", "{{ x", "{% endfor %}", "{{ 'a }}", "{{ (1 }}",
                             "{% break %}", "{# open", "{{ ) }}", "{{ 99999999999999999999 }}"}) {
    EXPECT_EQ(failure(source).first, ErrorCode::InvalidModel) << source;
  }
  EXPECT_EQ(failure("x", "[1]").first, ErrorCode::InvalidArgument);
  EXPECT_EQ(failure("x", "{").first, ErrorCode::InvalidArgument);
  EXPECT_EQ(failure("\xFF").first, ErrorCode::InvalidModel);
}

TEST(ChatTemplate, StopsHostileTemplates) {
  const std::string nested(100'000, '(');
  std::string loops = "x";
  for (int i = 0; i < 20; ++i) loops = "{% for i in range(100) %}" + loops + "{% endfor %}";
  std::string chain = "{{ 1";
  for (int i = 0; i < 10'000; ++i) chain += " + 1";
  std::string deep = "x";
  for (int i = 0; i < 1000; ++i) deep = "{% if true %}" + deep + "{% endif %}";
  for (const std::string& source :
       {"{{ " + nested + " }}", std::string("{{ range(10**9) }}"), std::string("{{ 'a' * 10**9 }}"),
        loops, chain + " }}", deep, std::string("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"),
        std::string("{% set x = 'ab' * 1000 %}{% for i in range(100000) %}{{ x }}{% endfor %}"),
        std::string("{% set ns = namespace(x='a') %}{% for i in range(100) %}{% set ns.x = ns.x + "
                    "ns.x %}{% endfor %}"),
        std::string("{% set ns = namespace(x=[1]) %}{% for i in range(100) %}{% set ns.x = [ns.x, "
                    "ns.x] %}{% endfor %}{{ ns.x }}")}) {
    EXPECT_EQ(failure(source).first, ErrorCode::InvalidModel) << source.substr(0, 60);
  }
}

TEST(ChatTemplate, HasNoWayToTheHost) {
  EXPECT_EQ(render("{{ ''.__class__ }}|{{ x.__init__ }}", R"({"x": {}})"), "|");
  for (const char* source : {"{{ ''.__class__.__mro__ }}", "{{ cycler.__init__ }}", "{{ self.x }}",
                             "{{ open('x') }}", "{{ [].append(1) }}"}) {
    EXPECT_EQ(failure(source).first, ErrorCode::InvalidArgument) << source;
  }
}

TEST(ChatTemplate, LetsGoOfNamespacesThatHoldThemselves) {
  EXPECT_EQ(render("{% set ns = namespace() %}{% set ns.me = ns %}x"), "x");
  EXPECT_EQ(
      render("{% set ns = namespace() %}{% macro m() %}{% set ns.c = caller %}{% endmacro %}{% for "
             "i in [1] %}{% call m() %}{{ i }}{% endcall %}{% endfor %}{{ ns.c() }}"),
      "1");
}

}  // namespace
}  // namespace naru
