#include "transfer_head.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <utility>

namespace homelab::hub {
namespace {

std::string const kName(64, 'a');
std::string const kOther(64, 'b');

http::Headers headers(std::initializer_list<std::pair<char const*, std::string>> fields) {
  http::Headers out;
  for (auto const& [name, value] : fields) out.add(name, value);
  return out;
}

WantedBytes wanted(std::uint64_t from = 0) {
  return {cache::BlobName::parse(kName).value(), 1000, from};
}

TEST(TransferHead, TakesAFullAnswerOfTheRightLength) {
  EXPECT_EQ(judge_head(wanted(), 200, headers({{"Content-Length", "1000"}})), HeadVerdict::kAppend);
  EXPECT_EQ(judge_head(wanted(), 200, headers({})), HeadVerdict::kAppend);
}

TEST(TransferHead, RefusesAnotherLength) {
  EXPECT_EQ(judge_head(wanted(), 200, headers({{"Content-Length", "999"}})), HeadVerdict::kChanged);
  EXPECT_EQ(judge_head(wanted(), 200, headers({{"Content-Length", "x"}})), HeadVerdict::kChanged);
}

TEST(TransferHead, DoesNotCompareTheLengthOfACompressedBody) {
  EXPECT_EQ(
      judge_head(wanted(), 200, headers({{"Content-Length", "90"}, {"Content-Encoding", "gzip"}})),
      HeadVerdict::kAppend);
}

TEST(TransferHead, StartsOverWhenTheServerIgnoresTheRange) {
  EXPECT_EQ(judge_head(wanted(400), 200, headers({{"Content-Length", "1000"}})),
            HeadVerdict::kStartOver);
  EXPECT_EQ(judge_head(wanted(400), 206, headers({{"Content-Range", "bytes 0-999/1000"}})),
            HeadVerdict::kStartOver);
}

TEST(TransferHead, ContinuesExactlyWhereItAsked) {
  EXPECT_EQ(judge_head(wanted(400), 206, headers({{"Content-Range", "bytes 400-999/1000"}})),
            HeadVerdict::kAppend);
  EXPECT_EQ(judge_head(wanted(400), 206, headers({{"Content-Range", "bytes 400-999/*"}})),
            HeadVerdict::kAppend);
}

TEST(TransferHead, RefusesAPartThatDoesNotFit) {
  for (char const* range : {"bytes 401-999/1000", "bytes 400-999/1200", "bytes 400-1000/1000",
                            "bytes 900-400/1000", "items 400-999/1000", "bytes 400/1000", ""})
    EXPECT_EQ(judge_head(wanted(400), 206, headers({{"Content-Range", range}})),
              HeadVerdict::kChanged)
        << range;
  EXPECT_EQ(judge_head(wanted(400), 206, headers({})), HeadVerdict::kChanged);
  EXPECT_EQ(judge_head(wanted(400), 416, headers({{"Content-Range", "bytes */300"}})),
            HeadVerdict::kChanged);
}

TEST(TransferHead, NoticesAnotherEtagOrSizeOfTheHub) {
  EXPECT_EQ(judge_head(wanted(), 200, headers({{"X-Linked-ETag", '"' + kOther + '"'}})),
            HeadVerdict::kChanged);
  EXPECT_EQ(
      judge_head(wanted(), 200,
                 headers({{"X-Repo-Commit", std::string(40, 'c')}, {"ETag", '"' + kOther + '"'}})),
      HeadVerdict::kChanged);
  EXPECT_EQ(judge_head(wanted(), 200, headers({{"X-Linked-Size", "7"}})), HeadVerdict::kChanged);
  EXPECT_EQ(judge_head(wanted(), 200, headers({{"X-Linked-ETag", '"' + kName + '"'}})),
            HeadVerdict::kAppend);
}

TEST(TransferHead, IgnoresTheEtagOfAContentNetwork) {
  EXPECT_EQ(judge_head(wanted(), 200, headers({{"ETag", '"' + kOther + '"'}})),
            HeadVerdict::kAppend);
}

TEST(TransferHead, TriesAgainAfterServerErrorsAndExpiredAddresses) {
  EXPECT_EQ(judge_head(wanted(), 429, headers({})), HeadVerdict::kRetry);
  EXPECT_EQ(judge_head(wanted(), 503, headers({})), HeadVerdict::kRetry);
  EXPECT_EQ(judge_head(wanted(), 403, headers({})), HeadVerdict::kRetry);
}

TEST(TransferHead, GivesUpWhenTheHubItselfRefuses) {
  EXPECT_EQ(judge_head(wanted(), 403, headers({{"X-Error-Code", "GatedRepo"}})),
            HeadVerdict::kRefused);
  EXPECT_EQ(judge_head(wanted(), 401, headers({})), HeadVerdict::kRefused);
  EXPECT_EQ(judge_head(wanted(), 404, headers({})), HeadVerdict::kRefused);
}

}  // namespace
}  // namespace homelab::hub
