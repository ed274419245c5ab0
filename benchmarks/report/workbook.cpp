// The Excel workbook with native charts, by libxlsxwriter.
#include <xlsxwriter.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "benchmarks/analyse/row.h"
#include "benchmarks/analyse/statistics.h"
#include "benchmarks/log/sha256.h"
#include "benchmarks/report/view.h"
#include "graph/fail.h"

namespace naru::bench {
namespace {

using Json = nlohmann::json;

// Holds the names of rows for charts; hidden, for the table has them in columns of their own.
constexpr lxw_col_t kLabelColumn = 30;

std::string plain_text(const Json& json) { return json.is_string() ? json.get<std::string>() : json.dump(); }

class Workbook {
 public:
  Workbook(const std::string& path, const Json& report, Language language) : report_(report), language_(language), book_(workbook_new(path.c_str())) {
    if (book_ == nullptr) fail(ErrorCode::Io, "workbook: '{}' cannot be made", path);
    lxw_doc_properties properties{};
    std::string title = report.at("title")[static_cast<std::size_t>(language)];
    std::string author = "Naru";
    properties.title = title.data();
    properties.author = author.data();
    // A fixed time keeps the bytes a function of the evidence; the cover has the session's.
    properties.created = 1577836800;
    workbook_set_properties(book_, &properties);
    make_formats();
  }

  void fill() {
    cover();
    summary();
    coverage();
    models();
    power();
    accuracy();
    audit();
    system();
    definitions();
    files();
    const lxw_error error = workbook_close(book_);
    if (error != LXW_NO_ERROR) fail(ErrorCode::Io, "workbook: {}", lxw_strerror(error));
  }

 private:
  const char* w(const char* key) const { return word(key, language_); }

  lxw_format* format(bool bold, const char* number, std::uint32_t fill, int size = 10) {
    lxw_format* made = workbook_add_format(book_);
    format_set_font_name(made, language_ == Language::Korean ? "NanumGothic" : "Liberation Sans");
    format_set_font_size(made, size);
    if (bold) format_set_bold(made);
    if (number != nullptr) format_set_num_format(made, number);
    if (fill != 0) format_set_bg_color(made, fill);
    return made;
  }

  void make_formats() {
    plain_ = format(false, nullptr, 0);
    format_set_text_wrap(plain_);
    format_set_align(plain_, LXW_ALIGN_VERTICAL_TOP);
    head_ = format(true, nullptr, 0xDCE8F1);
    format_set_text_wrap(head_);
    format_set_align(head_, LXW_ALIGN_VERTICAL_TOP);
    title_ = format(true, nullptr, 0, 20);
    number_ = format(false, "0.000", 0);
    big_ = format(false, "#,##0.0", 0);
    absent_ = format(false, nullptr, 0);
    format_set_align(absent_, LXW_ALIGN_RIGHT);
    format_set_align(absent_, LXW_ALIGN_VERTICAL_TOP);
    format_set_align(number_, LXW_ALIGN_VERTICAL_TOP);
    format_set_align(big_, LXW_ALIGN_VERTICAL_TOP);
    for (const char* status : {"valid", "invalid", "not_steady", "failed", "skipped"}) {
      const std::string name = status;
      statuses_[name] = format(true, nullptr, name == "valid" ? 0xD5F0DD : name == "skipped" || name == "not_steady" ? 0xFFF0C7 : 0xF8D4D4);
      format_set_align(statuses_[name], LXW_ALIGN_VERTICAL_TOP);
    }
  }

  /// A sheet that prints on A4, one page wide.
  lxw_worksheet* sheet(std::string name) {
    for (char& c : name) {
      if (std::string("[]:*?/\\").find(c) != std::string::npos) c = '_';
    }
    lxw_worksheet* made = workbook_add_worksheet(book_, name.c_str());
    if (made == nullptr) fail(ErrorCode::Io, "workbook: no sheet '{}'", name);
    worksheet_set_paper(made, 9);
    worksheet_set_landscape(made);
    worksheet_fit_to_pages(made, 1, 0);
    worksheet_gridlines(made, LXW_HIDE_ALL_GRIDLINES);
    worksheet_set_column(made, 0, 0, 26, nullptr);
    // One by one: a later width of a single column must replace its own entry, not overlap a range.
    for (lxw_col_t column = 1; column < 20; ++column) worksheet_set_column(made, column, column, 14, nullptr);
    return made;
  }

  void text(lxw_worksheet* in, lxw_row_t row, lxw_col_t column, const std::string& value, lxw_format* as = nullptr) {
    worksheet_write_string(in, row, column, value.substr(0, 32000).c_str(), as == nullptr ? plain_ : as);
  }
  void number(lxw_worksheet* in, lxw_row_t row, lxw_col_t column, const std::optional<double>& value, double factor) {
    if (!value || !std::isfinite(*value)) {
      text(in, row, column, number_text(value, factor), absent_);
      return;
    }
    const double shown = *value * factor;
    worksheet_write_number(in, row, column, shown, std::abs(shown) >= 10 ? big_ : number_);
  }
  void heads(lxw_worksheet* in, lxw_row_t row, const std::vector<std::string>& names) {
    for (std::size_t i = 0; i < names.size(); ++i) text(in, row, static_cast<lxw_col_t>(i), names[i], head_);
    // Heads are often broken into lines, and readers do not all fit the height to them.
    worksheet_set_row(in, row, 27, nullptr);
  }

  void cover() {
    lxw_worksheet* in = sheet(w("cover"));
    worksheet_set_column(in, 0, 0, 34, nullptr);
    worksheet_set_column(in, 1, 1, 90, nullptr);
    text(in, 0, 0, report_.at("title")[static_cast<std::size_t>(language_)], title_);
    text(in, 1, 0, std::string(w("subtitle")) + " · " + plain_text(report_.at("metrics_def")), format(false, nullptr, 0));
    int valid = 0;
    for (const Json& row : report_.at("rows")) valid += row.at("status") == "valid" ? 1 : 0;
    const Json& host = report_.at("system").at("host");
    const std::vector<std::pair<const char*, std::string>> lines = {
        {"date", plain_text(report_.at("time"))}, {"system", plain_text(host.at("cpu")) + ", " + plain_text(host.at("os"))},
        {"rows", fmt::format("{} / {}", valid, report_.at("rows").size())}, {"runs", report_.at("runs").dump()}, {"seed", report_.at("seed").dump()},
        {"root", plain_text(report_.at("evidence_root"))}};
    lxw_row_t row = 3;
    for (const auto& [key, value] : lines) {
      text(in, row, 0, w(key), head_);
      text(in, row++, 1, value);
    }
    if (!report_.at("complete").get<bool>()) text(in, ++row, 0, w("partial"), statuses_.at("skipped"));
    text(in, row + 2, 1, w("interval_note"));
  }

  /// Identity cells of a row: model, device, work, load.
  lxw_col_t identity(lxw_worksheet* in, lxw_row_t at, const Json& row) {
    const Json& condition = row.at("condition");
    const Json& precision = condition.at("precision");
    text(in, at, 0, model_text(row));
    text(in, at, 1, plain_text(precision.at("weights")) + "/" + plain_text(precision.at("activations")) + (precision.at("kv") == "" ? "" : "/" + plain_text(precision.at("kv"))));
    text(in, at, 2, device_text(row));
    text(in, at, 3, work_text(row, language_));
    text(in, at, 4, load_text(row));
    return 5;
  }

  void summary() {
    lxw_worksheet* in = sheet(w("summary"));
    lxw_row_col_options hidden{};
    hidden.hidden = LXW_TRUE;
    worksheet_set_column_opt(in, kLabelColumn, kLabelColumn, 40, nullptr, &hidden);
    lxw_row_t at = 0;
    for (const char* kind : {"generate", "infer"}) {
      const std::vector<const Json*> rows = rows_of_kind(report_, kind);
      if (rows.empty()) continue;
      const bool generates = std::string(kind) == "generate";
      const std::vector<Column> columns = summary_columns(report_, generates);
      text(in, at++, 0, w(generates ? "language_models" : "networks"), title_);
      std::vector<std::string> names = {w("model"), w("precision"), w("device"), w("work"), w("load")};
      for (const Column& column : columns) names.push_back(column_title(column, language_));
      for (const char* key : {"status", "gate"}) names.push_back(w(key));
      heads(in, at++, names);
      const lxw_row_t first = at;
      for (const Json* row : rows) {
        lxw_col_t column_at = identity(in, at, *row);
        for (const Column& column : columns) {
          const Figure figure = headline_allowed(*row) ? figure_of(*row, column.metric, column.statistic) : Figure{};
          number(in, at, column_at++, figure.estimate, shown_unit(find_metric(column.metric)->unit).factor);
        }
        const std::string status = row->at("status");
        text(in, at, column_at++, w(status.c_str()), statuses_.at(status));
        text(in, at, column_at, gate_text(*row, language_));
        text(in, at++, kLabelColumn, row_label(*row));
      }
      const Table table{w("summary"), first, at - 1, kLabelColumn};
      chart(in, table, 5, names[5], at + 1, 0);
      chart(in, table, 6, names[6], at + 1, 6);
      at += chart_rows(rows.size()) + 3;
    }
  }

  /// Where a chart finds its figures: the rows of a sheet, and the column that names them.
  struct Table {
    std::string sheet;
    lxw_row_t first, last;
    lxw_col_t label;
  };

  std::string row_label(const Json& row) const {
    return model_text(row) + ", " + device_text(row) + ", " + work_text(row, language_) + ", " + load_text(row);
  }

  /// Rows of a sheet that a chart of so many bars covers.
  static lxw_row_t chart_rows(std::size_t bars) { return static_cast<lxw_row_t>(8 + 2 * std::min<std::size_t>(bars, 30)); }

  /// A bar chart over a column of the table.
  void chart(lxw_worksheet* in, const Table& table, lxw_col_t column, const std::string& title, lxw_row_t at, lxw_col_t at_column) {
    lxw_chart* made = workbook_add_chart(book_, LXW_CHART_BAR);
    lxw_chart_series* series = chart_add_series(made, nullptr, nullptr);
    chart_series_set_categories(series, table.sheet.c_str(), table.first, table.label, table.last, table.label);
    chart_series_set_values(series, table.sheet.c_str(), table.first, column, table.last, column);
    chart_series_set_name(series, title.c_str());
    chart_title_set_name(made, title.c_str());
    lxw_chart_font small{};
    small.size = 8;
    small.bold = LXW_EXPLICIT_FALSE;
    chart_axis_set_num_font(made->x_axis, &small);
    chart_axis_set_num_font(made->y_axis, &small);
    lxw_chart_font heading{};
    heading.size = 11;
    chart_title_set_name_font(made, &heading);
    lxw_chart_line grid{};
    grid.color = 0xD9D9D9;
    chart_axis_major_gridlines_set_line(made->y_axis, &grid);
    chart_axis_major_gridlines_set_line(made->x_axis, &grid);
    chart_legend_set_position(made, LXW_CHART_LEGEND_NONE);
    chart_axis_set_reverse(made->y_axis);
    chart_show_hidden_data(made);
    lxw_chart_options options{};
    options.x_scale = 1.3;
    options.y_scale = 20.0 * chart_rows(table.last - table.first + 1) / 288;
    worksheet_insert_chart_opt(in, at, at_column, made, &options);
  }

  void coverage() {
    lxw_worksheet* in = sheet(w("coverage"));
    worksheet_set_column(in, 6, 6, 90, nullptr);
    heads(in, 0, {w("model"), w("precision"), w("device"), w("work"), w("load"), w("status"), w("reasons")});
    lxw_row_t at = 1;
    for (const Json& row : report_.at("rows")) {
      const lxw_col_t column = identity(in, at, row);
      const std::string status = row.at("status");
      text(in, at, column, w(status.c_str()), statuses_.at(status));
      text(in, at++, static_cast<lxw_col_t>(column + 1), reasons_text(row, language_));
    }
  }

  /// One sheet per model: every metric of every row with interval and percentiles.
  void models() {
    std::map<std::string, std::vector<const Json*>> by_model;
    for (const Json& row : report_.at("rows")) by_model[row.at("condition").at("model")].push_back(&row);
    for (const auto& [model, rows] : by_model) {
      const std::string name = model.substr(0, 28);
      lxw_worksheet* in = sheet(name);
      text(in, 0, 0, model_text(*rows.front()), format(true, nullptr, 0, 14));
      std::vector<std::string> names = {w("row"), w("metric"), w("unit"), w("mean"), std::string("95 % ") + w("low"), std::string("95 % ") + w("high")};
      for (const PercentileFloor& floor : kPercentileFloors) names.push_back(statistic_title(floor.name));
      worksheet_set_column(in, 0, 0, 40, nullptr);
      worksheet_set_column(in, 1, 1, 30, nullptr);
      for (lxw_col_t column = 2; column < names.size(); ++column) worksheet_set_column(in, column, column, 11, nullptr);
      heads(in, 1, names);
      lxw_row_t at = 2;
      for (const Json* row : rows) at = metric_rows(in, at, *row);
      curve(in, name, rows, at + 1);
    }
  }

  std::string condition_label(const Json& row) const { return device_text(row) + ", " + work_text(row, language_) + ", " + load_text(row); }

  lxw_row_t metric_rows(lxw_worksheet* in, lxw_row_t at, const Json& row) {
    for (const MetricInfo& metric : all_metrics()) {
      if (!row.at("metrics").contains(metric.id)) continue;
      const Shown shown = shown_unit(metric.unit);
      const Figure centre = figure_of(row, metric.id, "mean");
      text(in, at, 0, condition_label(row));
      text(in, at, 1, metric.name[static_cast<std::size_t>(language_)]);
      text(in, at, 2, shown.unit);
      lxw_col_t column = 3;
      for (const auto& value : {centre.estimate, centre.low, centre.high}) number(in, at, column++, value, shown.factor);
      for (const PercentileFloor& floor : kPercentileFloors) number(in, at, column++, figure_of(row, metric.id, floor.name).estimate, shown.factor);
      ++at;
    }
    return at;
  }

  /// The headline figure of each row of a model, as a table and a chart below it.
  void curve(lxw_worksheet* in, const std::string& sheet_name, const std::vector<const Json*>& rows, lxw_row_t at) {
    const bool generates = rows.front()->at("condition").at("kind") == "generate";
    const Column column = summary_columns(report_, generates).front();
    const std::string title = column_title(column, language_);
    heads(in, at, {w("row"), title});
    lxw_row_t last = at;
    for (const Json* row : rows) {
      const Figure figure = figure_of(*row, column.metric, column.statistic);
      if (!headline_allowed(*row) || !figure.estimate) continue;
      text(in, ++last, 0, condition_label(*row));
      number(in, last, 1, figure.estimate, 1);
    }
    if (last > at) chart(in, {sheet_name, at + 1, last, 0}, 1, title, at, 3);
  }

  void power() {
    lxw_worksheet* in = sheet(w("power"));
    if (report_.at("energy").empty()) {
      worksheet_set_column(in, 0, 0, 80, nullptr);
      text(in, 0, 0, w("not_measured"));
      return;
    }
    heads(in, 0, {w("model"), w("precision"), w("device"), w("work"), w("load"), "W", "J/token", "J/request"});
    lxw_row_t at = 1;
    for (const Json& row : report_.at("rows")) {
      lxw_col_t column = identity(in, at, row);
      for (const char* metric : {"power", "energy_per_token", "energy_per_request"}) number(in, at, column++, figure_of(row, metric, "mean").estimate, 1);
      ++at;
    }
  }

  void accuracy() {
    lxw_worksheet* in = sheet(w("accuracy"));
    worksheet_set_column(in, 3, 3, 110, nullptr);
    heads(in, 0, {w("model"), w("device"), w("gate"), w("value")});
    lxw_row_t at = 1;
    std::map<std::string, bool> seen;
    for (const Json& row : report_.at("rows")) {
      const std::string model = model_text(row), device = device_text(row);
      if (!row.at("gate").is_object() || seen[model + "|" + device]) continue;
      seen[model + "|" + device] = true;
      text(in, at, 0, model);
      text(in, at, 1, device);
      text(in, at, 2, gate_text(row, language_));
      text(in, at++, 3, gate_figures(row.at("gate")));
    }
  }

  void audit() {
    lxw_worksheet* in = sheet(w("audit"));
    heads(in, 0, {w("model"), w("precision"), w("device"), w("work"), w("load"), w("requests"), w("failed"), w("little")});
    lxw_row_t at = 1;
    for (const Json& row : report_.at("rows")) {
      if (row.at("runs").empty()) continue;
      double requests = 0, failed = 0, little = 0;
      for (const Json& run : row.at("runs")) {
        requests += run.at("requests").get<double>();
        failed += run.at("failed").get<double>();
        little = std::max(little, run.at("little_error").get<double>());
      }
      const lxw_col_t column = identity(in, at, row);
      text(in, at, column, fmt::format("{}", requests));
      text(in, at, static_cast<lxw_col_t>(column + 1), fmt::format("{}", failed));
      text(in, at++, static_cast<lxw_col_t>(column + 2), fmt::format("{:.2f} %", 100 * little));
    }
    if (any_audit(report_)) audit_tests(in, at + 1);
  }

  void audit_tests(lxw_worksheet* in, lxw_row_t at) {
    worksheet_set_column(in, 7, 7, 50, nullptr);
    heads(in, at++, {w("model"), w("precision"), w("device"), w("work"), w("load"), w("test"), w("result"), w("detail")});
    for (const Json& row : report_.at("rows")) {
      if (!row.contains("audit")) continue;
      for (const Json& test : row.at("audit")) {
        lxw_col_t column = identity(in, at, row);
        for (const char* key : {"test", "result", "detail"}) text(in, at, column++, test.at(key));
        ++at;
      }
    }
  }

  void system() {
    lxw_worksheet* in = sheet(w("system"));
    worksheet_set_column(in, 1, 1, 110, nullptr);
    heads(in, 0, {w("field"), w("value")});
    lxw_row_t at = 1;
    const auto line = [&](const std::string& name, const Json& value) {
      text(in, at, 0, name);
      text(in, at++, 1, plain_text(value));
    };
    for (const auto& [name, value] : report_.at("system").at("host").items()) line(name, value);
    for (const Json& device : report_.at("system").at("devices")) line(device.at("id"), plain_text(device.at("name")) + " " + plain_text(device.at(device.at("available").get<bool>() ? "description" : "reason")));
    for (const auto& [name, value] : report_.at("system").at("software").items()) line(name, value);
    for (const auto& [device, peaks] : report_.at("probes").items()) line(std::string(w("peak")) + " " + device, peaks_text(peaks));
    line(w("mismatch"), report_.at("mismatches").empty() ? Json(w("none")) : report_.at("mismatches"));
  }

  void definitions() {
    lxw_worksheet* in = sheet(w("definitions"));
    worksheet_set_column(in, 0, 0, 34, nullptr);
    worksheet_set_column(in, 2, 2, 110, nullptr);
    heads(in, 0, {w("metric"), w("unit"), w("definition")});
    lxw_row_t at = 1;
    for (const MetricInfo& metric : all_metrics()) {
      text(in, at, 0, metric.name[static_cast<std::size_t>(language_)]);
      text(in, at, 1, metric.unit);
      text(in, at++, 2, metric.definition[static_cast<std::size_t>(language_)]);
    }
  }

  void files() {
    lxw_worksheet* in = sheet(w("files"));
    worksheet_set_column(in, 0, 0, 34, nullptr);
    worksheet_set_column(in, 1, 1, 70, nullptr);
    heads(in, 0, {w("files"), "SHA-256"});
    lxw_row_t at = 1;
    for (const Json& row : report_.at("rows")) {
      for (const Json& file : row.at("files")) {
        text(in, at, 0, file.at("file"));
        text(in, at++, 1, file.at("sha256"));
      }
    }
  }

  const Json& report_;
  Language language_;
  lxw_workbook* book_;
  lxw_format *plain_ = nullptr, *head_ = nullptr, *title_ = nullptr, *number_ = nullptr, *big_ = nullptr, *absent_ = nullptr;
  std::map<std::string, lxw_format*> statuses_;
};

}  // namespace

std::string render_workbook(const Json& report, Language language) {
  // The library writes files only.
  std::string name = (std::filesystem::temp_directory_path() / "naru-workbook-XXXXXX").string();
  const int file = mkstemp(name.data());
  if (file < 0) fail(ErrorCode::Io, "workbook: '{}' cannot be made", name);
  close(file);
  Workbook(name, report, language).fill();
  const std::string bytes = read_file(name);
  std::filesystem::remove(name);
  return bytes;
}

}  // namespace naru::bench
