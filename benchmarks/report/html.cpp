// The HTML report: one file, no scripts, nothing from outside; prints on A4.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "benchmarks/analyse/row.h"
#include "benchmarks/report/markup.h"
#include "benchmarks/report/view.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

constexpr const char* kStyle =
    "body{font:14px/1.5 'Noto Sans KR','NanumGothic','Liberation Sans','DejaVu Sans',sans-serif;color:#1b2430;margin:2rem auto;max-width:1180px;padding:0 1rem}"
    "h1{font-size:26px;margin:0 0 .2rem}h2{font-size:18px;margin:2rem 0 .6rem;border-bottom:2px solid #1f5f8b;padding-bottom:.2rem}"
    ".sub{color:#51606f;margin:0 0 1rem}.cards{display:flex;flex-wrap:wrap;gap:.8rem;margin:1rem 0}"
    ".card{border:1px solid #d4dce4;border-radius:6px;padding:.6rem .9rem;min-width:150px}.card b{display:block;font-size:18px}"
    "table{border-collapse:collapse;width:100%;font-size:12.5px;margin:.4rem 0}th,td{border-bottom:1px solid #dfe5eb;padding:.3rem .45rem;text-align:left;vertical-align:top}"
    "th{background:#eef3f7;font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.n{white-space:nowrap}"
    ".valid{color:#16703a}.invalid,.failed{color:#a61b1b}.not_steady,.skipped{color:#8a5a00}.note{color:#51606f;font-size:12.5px}"
    ".warn{background:#fff4d6;border:1px solid #e5c46a;padding:.5rem .8rem;border-radius:6px}"
    "svg{max-width:100%;height:auto;margin:.6rem 0}.t{font-size:14px;font-weight:600}.l,.v{font-size:12px}.b{fill:#2b7bb0}.w{stroke:#14212e;stroke-width:1.3;fill:none}"
    "code{font-size:12px;word-break:break-all}"
    "@page{size:A4 landscape;margin:12mm}@media print{body{margin:0;max-width:none;font-size:11px}h2{break-after:avoid}tr,svg,.card{break-inside:avoid}table{font-size:10px}}";

class Page {
 public:
  Page(const Json& report, Language language) : report_(report), language_(language) {}

  std::string render() {
    head();
    table("generate", "language_models");
    table("infer", "networks");
    charts();
    coverage();
    accuracy();
    power();
    loading();
    checks();
    audit_tests();
    system();
    definitions();
    files();
    return html_ + "</body></html>\n";
  }

 private:
  const char* w(const char* key) const { return word(key, language_); }
  std::string text(const Json& json) const { return escape(json.is_string() ? json.get<std::string>() : json.dump()); }
  void heading(const char* key) { html_ += std::string("<h2>") + w(key) + "</h2>\n"; }

  void row(const std::vector<std::string>& cells, const char* tag = "td", std::size_t numeric_from = 1000) {
    html_ += "<tr>";
    for (std::size_t i = 0; i < cells.size(); ++i) html_ += fmt::format("<{}{}>{}</{}>", tag, i >= numeric_from ? " class=\"n\"" : "", cells[i], tag);
    html_ += "</tr>\n";
  }

  void card(const char* key, const std::string& value) { html_ += std::string("<div class=\"card\">") + w(key) + "<b>" + value + "</b></div>"; }

  void head() {
    const std::string title = escape(report_.at("title")[static_cast<std::size_t>(language_)]);
    html_ = std::string("<!doctype html>\n<html lang=\"") + (language_ == Language::Korean ? "ko" : "en") + "\"><head><meta charset=\"utf-8\"><title>" + title +
            "</title><style>" + kStyle + "</style></head><body>\n<h1>" + title + "</h1><p class=\"sub\">" + w("subtitle") + " · " + text(report_.at("metrics_def")) + "</p>\n";
    if (!report_.at("complete").get<bool>()) html_ += std::string("<p class=\"warn\">") + w("partial") + "</p>\n";
    int valid = 0;
    for (const Json& entry : report_.at("rows")) valid += entry.at("status") == "valid" ? 1 : 0;
    html_ += "<div class=\"cards\">";
    card("rows", fmt::format("{} / {}", valid, report_.at("rows").size()));
    card("runs", report_.at("runs").dump());
    card("date", text(report_.at("time")));
    card("system", text(report_.at("system").at("host").at("cpu")));
    html_ += std::string("</div>\n<p class=\"note\">") + w("interval_note") + "</p>\n";
  }

  void table(const char* kind, const char* title) {
    const std::vector<const Json*> rows = rows_of_kind(report_, kind);
    if (rows.empty()) return;
    heading(title);
    const std::vector<Column> columns = summary_columns(report_, std::string(kind) == "generate");
    std::vector<std::string> heads = {w("model"), w("precision"), w("device"), w("work"), w("load"), w("status"), w("gate")};
    const std::size_t numeric = heads.size();
    for (const Column& column : columns) heads.push_back(column_title(column, language_));
    html_ += "<table>";
    row(heads, "th", numeric);
    for (const Json* entry : rows) {
      std::vector<std::string> cells = identity(*entry);
      cells.push_back(status(*entry));
      cells.push_back(gate_text(*entry, language_));
      for (const Column& column : columns) {
        const Figure figure = headline_allowed(*entry) ? figure_of(*entry, column.metric, column.statistic) : Figure{};
        cells.push_back(figure_text(figure, shown_unit(find_metric(column.metric)->unit).factor));
      }
      row(cells, "td", numeric);
    }
    html_ += "</table>\n";
  }

  std::string status(const Json& entry) const {
    const std::string status = entry.at("status");
    return "<span class=\"" + status + "\">" + w(status.c_str()) + "</span>";
  }

  std::vector<std::string> identity(const Json& entry) const {
    const Json& condition = entry.at("condition");
    const Json& precision = condition.at("precision");
    std::string kv = precision.at("kv");
    return {escape(model_text(entry)), text(precision.at("weights")) + "/" + text(precision.at("activations")) + (kv.empty() ? "" : "/" + escape(kv)),
            escape(device_text(entry)), escape(work_text(entry, language_)), escape(load_text(entry))};
  }

  void charts() {
    chart("generate", {"output_tokens_per_s", "mean"});
    chart("generate", {"ttft", "mean"});
    chart("generate", {"tpot", "mean"});
    chart("infer", {"samples_per_s", "mean"});
    chart("infer", {"latency", "mean"});
  }

  void chart(const char* kind, const Column& column) {
    std::vector<Bar> bars;
    const double factor = shown_unit(find_metric(column.metric)->unit).factor;
    for (const Json* entry : rows_of_kind(report_, kind)) {
      const Figure figure = figure_of(*entry, column.metric, column.statistic);
      if (!headline_allowed(*entry) || !figure.estimate) continue;
      Bar bar{model_text(*entry) + " · " + device_text(*entry) + " · " + work_text(*entry, language_) + " · " + load_text(*entry),
              *figure.estimate * factor, 0, 0, figure_text(figure, factor)};
      if (figure.low && figure.high) {
        bar.low = *figure.low * factor;
        bar.high = *figure.high * factor;
      }
      bars.push_back(std::move(bar));
    }
    html_ += bar_chart(column_title(column, language_), bars);
  }

  void coverage() {
    heading("coverage");
    html_ += "<table>";
    row({w("model"), w("precision"), w("device"), w("work"), w("load"), w("status"), w("reasons")}, "th");
    for (const Json& entry : report_.at("rows")) {
      std::vector<std::string> cells = identity(entry);
      cells.push_back(status(entry));
      cells.push_back(escape(reasons_text(entry, language_)));
      row(cells);
    }
    html_ += "</table>\n";
  }

  void accuracy() {
    heading("accuracy");
    html_ += "<table>";
    row({w("model"), w("device"), w("gate"), w("value")}, "th");
    std::string last;
    for (const Json& entry : report_.at("rows")) {
      const std::string name = model_text(entry) + "|" + device_text(entry);
      if (!entry.at("gate").is_object() || name == last) continue;
      last = name;
      row({escape(model_text(entry)), escape(device_text(entry)), gate_text(entry, language_), escape(gate_figures(entry.at("gate")))});
    }
    html_ += "</table>\n";
  }

  void power() {
    heading("power");
    if (report_.at("energy").empty()) {
      html_ += std::string("<p>") + w("not_measured") + "</p>\n";
      return;
    }
    html_ += "<p>";
    for (const Json& provider : report_.at("energy")) html_ += text(provider.at("name")) + " (" + text(provider.at("boundary")) + ") ";
    html_ += "</p>\n";
  }

  void loading() {
    heading("cold_start");
    html_ += "<table>";
    row({w("model"), w("device"), w("work"), w("cold_start"), w("memory")}, "th");
    for (const Json& entry : report_.at("rows")) {
      if (!entry.at("load").is_object()) continue;
      const Json& load = entry.at("load");
      std::string phases;
      for (const Json& phase : load.at("phases")) phases += text(phase.at("name")) + " " + number_text(phase.at("s").get<double>(), 1e3) + " ms, ";
      const auto mib = [&](const char* key) { return number_text(load.at(key).get<double>(), 1.0 / 1048576); };
      row({escape(model_text(entry)), escape(device_text(entry)), escape(work_text(entry, language_)),
           phases + "= " + number_text(load.at("total_s").get<double>(), 1) + " s", mib("weights_bytes") + " / " + mib("workspace_bytes") + " / " + mib("kv_bytes") + " MiB"});
    }
    html_ += "</table>\n";
  }

  void checks() {
    heading("audit");
    html_ += "<table>";
    row({w("model"), w("device"), w("work"), w("load"), w("requests"), w("failed"), w("little")}, "th", 4);
    for (const Json& entry : report_.at("rows")) {
      int requests = 0, failed = 0;
      double little = 0;
      for (const Json& run : entry.at("runs")) {
        requests += run.at("requests").get<int>();
        failed += run.at("failed").get<int>();
        little = std::max(little, run.at("little_error").get<double>());
      }
      if (requests == 0) continue;
      row({escape(model_text(entry)), escape(device_text(entry)), escape(work_text(entry, language_)), escape(load_text(entry)),
           std::to_string(requests), std::to_string(failed), fmt::format("{:.2f} %", 100 * little)}, "td", 4);
    }
    html_ += "</table>\n";
  }

  void audit_tests() {
    if (!any_audit(report_)) return;
    heading("audit_tests");
    html_ += "<table>";
    row({w("model"), w("device"), w("work"), w("load"), w("test"), w("result"), w("detail")}, "th");
    for (const Json& entry : report_.at("rows")) {
      if (!entry.contains("audit")) continue;
      for (const Json& test : entry.at("audit")) {
        row({escape(model_text(entry)), escape(device_text(entry)), escape(work_text(entry, language_)), escape(load_text(entry)), text(test.at("test")), text(test.at("result")), text(test.at("detail"))});
      }
    }
    html_ += "</table>\n";
  }

  void system() {
    heading("system");
    html_ += "<table>";
    row({w("field"), w("value")}, "th");
    for (const auto& [name, value] : report_.at("system").at("host").items()) row({escape(name), text(value)});
    for (const Json& device : report_.at("system").at("devices")) {
      const bool available = device.at("available").get<bool>();
      row({text(device.at("id")), text(device.at("name")) + " · " + text(available ? device.at("description") : device.at("reason"))});
    }
    for (const auto& [name, value] : report_.at("system").at("software").items()) row({escape(name), "<code>" + text(value) + "</code>"});
    for (const auto& [device, peaks] : report_.at("probes").items()) {
      row({std::string(w("peak")) + " (" + escape(device) + ")", peaks_text(peaks)});
    }
    html_ += "</table>\n";
    html_ += std::string("<p>") + w("mismatch") + ": ";
    if (report_.at("mismatches").empty()) html_ += w("none");
    for (const Json& entry : report_.at("mismatches")) html_ += text(entry.at("field")) + ": " + text(entry.at("declared")) + " / " + text(entry.at("read")) + " ";
    html_ += "</p>\n";
  }

  void definitions() {
    heading("definitions");
    html_ += "<table>";
    row({w("metric"), w("unit"), w("definition")}, "th");
    for (const MetricInfo& metric : all_metrics()) {
      const auto index = static_cast<std::size_t>(language_);
      row({metric.name[index], metric.unit, metric.definition[index]});
    }
    html_ += "</table>\n";
  }

  void files() {
    heading("files");
    html_ += std::string("<p>") + w("root") + ": <code>" + text(report_.at("evidence_root")) + "</code></p>\n";
  }

  const Json& report_;
  Language language_;
  std::string html_;
};

}  // namespace

std::string render_html(const Json& report, Language language) { return Page(report, language).render(); }

}  // namespace naru::bench
