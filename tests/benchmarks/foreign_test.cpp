// Result files of other tools: the figures that they name, in our units.
#include <gtest/gtest.h>

#include "benchmarks/analyse/row.h"
#include "benchmarks/foreign/foreign.h"
#include "benchmarks/log/sha256.h"
#include "naru/error.h"

namespace naru::bench {
namespace {

std::vector<ForeignRow> read(const std::string& name) { return read_foreign(read_file(std::string(NARU_FOREIGN_FILES) + "/" + name)); }

double value(const ForeignRow& row, const std::string& metric, const std::string& statistic) {
  for (const ForeignFigure& figure : row.figures) {
    if (figure.metric == metric && figure.statistic == statistic) return figure.value;
  }
  return -1;
}

TEST(Foreign, TheSameRunReadsTheSameFromThreeTools) {
  for (const char* name : {"vllm", "aiperf", "guidellm"}) {
    const ForeignRow row = read(name).at(0);
    EXPECT_NEAR(value(row, "ttft", "mean"), 0.1205, 1e-12) << name;
    EXPECT_NEAR(value(row, "ttft", "p50"), 0.118, 1e-12) << name;
    EXPECT_NEAR(value(row, "tpot", "mean"), 0.0095, 1e-12) << name;
    EXPECT_NEAR(value(row, "latency", "mean"), 0.42, 1e-12) << name;
    EXPECT_NEAR(value(row, "whole_run_tokens_per_s", "mean"), 102.4, 1e-12) << name;
    EXPECT_NE(row.condition.find("concurrency 4"), std::string::npos) << row.condition;
  }
}

TEST(Foreign, ATpotThatHoldsTheTtftIsNotOurs) {
  const ForeignRow row = read("guidellm").at(0);
  EXPECT_EQ(find_metric("time_per_output_token_ms"), nullptr);
  EXPECT_NEAR(value(row, "time_per_output_token_ms", "mean"), 13.1, 1e-12);
}

TEST(Foreign, LlamaBenchAsJsonAndLines) {
  const std::vector<ForeignRow> rows = read("llama_bench");
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_NEAR(value(rows[0], "prefill_tokens_per_s", "mean"), 1024.5, 1e-12);
  EXPECT_NEAR(value(rows[1], "user_tokens_per_s", "mean"), 150.25, 1e-12);
  EXPECT_EQ(read("llama_bench_lines").size(), 2u);
}

TEST(Foreign, OtherFilesAreRefused) {
  for (const char* text : {"", "{", "[]", "[1]", "{\"a\":1}", "{\"a\":1}\n{", "null"}) EXPECT_THROW(read_foreign(text), Error) << text;
}

}  // namespace
}  // namespace naru::bench
