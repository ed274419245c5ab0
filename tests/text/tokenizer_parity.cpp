// Compares the ids of every tokenizer in a folder of goldens with those of the library that defines
// it (tools/dev/make_text_goldens.py), and each text with what its own ids decode to.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "naru/error.h"
#include "naru/tokenizer.h"

namespace naru {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorCode::Io, "cannot read " + path);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

/// Rows of a u32 count and `count` items.
template <typename Row>
std::vector<Row> read_rows(const std::string& path) {
  const std::string data = read_file(path);
  std::vector<Row> rows;
  for (std::size_t at = 0; at + 4 <= data.size();) {
    std::uint32_t count = 0;
    std::memcpy(&count, data.data() + at, 4);
    at += 4;
    Row row(count, {});
    if (count > 0) std::memcpy(row.data(), data.data() + at, count * sizeof(row[0]));
    at += count * sizeof(row[0]);
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string text_of(const std::vector<TokenId>& ids) {
  std::string text;
  for (const TokenId id : ids) text += std::to_string(id) + ' ';
  return text;
}

/// The number of texts whose ids differ; the first few are printed.
int compare(const std::string& folder, const nlohmann::json& item,
            const std::vector<std::string>& corpus) {
  const std::string name = item.at("name");
  const Tokenizer tokenizer =
      Tokenizer::from_json(read_file(folder + '/' + item.at("metadata").get<std::string>()));
  const auto expected =
      read_rows<std::vector<TokenId>>(folder + '/' + item.at("ids").get<std::string>());
  EncodeOptions options;
  options.parse_special =
      item.at("parse_special").get<bool>() ? ParseSpecial::Yes : ParseSpecial::No;
  int different = expected.size() == corpus.size() ? 0 : 1;
  for (std::size_t i = 0; i < expected.size() && i < corpus.size(); ++i) {
    const std::vector<TokenId> got = tokenizer.encode(corpus[i], options);
    if (got == expected[i]) continue;
    if (++different > 3) continue;
    std::printf("  text %zu: %s\n  got      %s\n  expected %s\n", i,
                nlohmann::json(corpus[i])
                    .dump(-1, ' ', true, nlohmann::json::error_handler_t::replace)
                    .substr(0, 300)
                    .c_str(),
                text_of(got).substr(0, 300).c_str(), text_of(expected[i]).substr(0, 300).c_str());
  }
  std::printf("%-28s %6zu texts, %d differ\n", name.c_str(), expected.size(), different);
  return different;
}

int run(const std::string& folder, const std::string& only) {
  const auto corpus = read_rows<std::string>(folder + "/corpus.bin");
  int failed = 0;
  for (const auto& item : nlohmann::json::parse(read_file(folder + "/cases.json"))) {
    if (item.at("name").get<std::string>().find(only) == std::string::npos) continue;
    try {
      if (compare(folder, item, corpus) != 0) ++failed;
    } catch (const Error& error) {
      std::printf("%s: %s\n", item.at("name").get<std::string>().c_str(), error.what());
      ++failed;
    }
  }
  std::printf("%d tokenizers differ\n", failed);
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace naru

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  return naru::run(argv[1], argc > 2 ? argv[2] : "");
}
