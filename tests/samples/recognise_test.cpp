// CTC decoding and the character file.
#include "tools/samples/label_reader/recognise.h"

#include <fstream>

#include <gtest/gtest.h>

#include "naru/error.h"

namespace label_reader {
namespace {

const std::vector<std::string> kCharacters{"blank", "a", "b", "°", " "};

/// Probabilities with 0.8 at the given class of each step and the rest spread over the others.
std::vector<float> steps(const std::vector<std::size_t>& classes) {
  std::vector<float> values(classes.size() * kCharacters.size(), 0.05F);
  for (std::size_t i = 0; i < classes.size(); ++i) {
    values[i * kCharacters.size() + classes[i]] = 0.8F;
  }
  return values;
}

TEST(DecodeCtc, MergesRepeatsUnlessABlankParts) {
  EXPECT_EQ(decode_ctc(steps({0, 1, 1, 0, 1, 2, 2, 0}), kCharacters).text, "aab");
}

TEST(DecodeCtc, KeepsSpacesAndCharactersOfSeveralBytes) {
  EXPECT_EQ(decode_ctc(steps({1, 4, 3, 3}), kCharacters).text, "a °");
}

TEST(DecodeCtc, ConfidenceIsTheMeanOverKeptSteps) {
  std::vector<float> values = steps({0, 1, 1, 2});
  values[1 * kCharacters.size() + 1] = 0.6F;  // the first step of 'a' counts
  values[2 * kCharacters.size() + 1] = 0.9F;
  values[3 * kCharacters.size() + 2] = 1.0F;
  EXPECT_NEAR(decode_ctc(values, kCharacters).confidence, 0.8, 1e-6);
}

TEST(DecodeCtc, OfBlanksIsEmpty) {
  const Reading reading = decode_ctc(steps({0, 0}), kCharacters);
  EXPECT_EQ(reading.text, "");
  EXPECT_EQ(reading.confidence, 0);
  EXPECT_EQ(decode_ctc({}, kCharacters).text, "");
}

TEST(ReadCharacters, TakesOneALineWithoutLineEnds) {
  const std::string path = testing::TempDir() + "/label_reader_keys.txt";
  std::ofstream(path, std::ios::binary) << "blank\r\na\n°\n \n";
  EXPECT_EQ(read_characters(path), (std::vector<std::string>{"blank", "a", "°", " "}));
}

TEST(ReadCharacters, ReportsAMissingFile) {
  try {
    read_characters("/nonexistent/keys.txt");
    FAIL() << "no error";
  } catch (const naru::Error& error) {
    EXPECT_EQ(error.code(), naru::ErrorCode::Io);
    EXPECT_NE(error.message().find("/nonexistent/keys.txt"), std::string::npos);
  }
}

}  // namespace
}  // namespace label_reader
