#include "verify/verified_record.h"

#include <unistd.h>

#include <fstream>

#include "../hub_fixture.h"
#include "base/os/file.h"

namespace homelab::cache {
namespace {

VerifiedRecord some_record() {
  return {
      {"blobs/" + std::string(64, 'a'),
       {std::string(64, 'a'), {5, 77, 1'700'000'000'123'456'789, 1'700'000'001'000'000'000}, 9}},
      {"snapshots/" + std::string(40, 'c') + "/with blank é.txt",
       {std::string(40, 'b'), {0, 1, -5, 0}, 1'700'000'000}}};
}

TEST(VerifiedRecordText, WhatIsWrittenIsReadAgain) {
  EXPECT_EQ(parse_verified(to_text(some_record())), some_record());
  EXPECT_EQ(parse_verified(to_text({})), VerifiedRecord{});
}

TEST(VerifiedRecordText, EveryFlippedByteMakesTheRecordWorthless) {
  std::string const text = to_text(some_record());
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_TRUE(parse_verified(damaged).empty()) << "byte " << i;
  }
}

TEST(VerifiedRecordText, EveryShortenedTextIsWorthless) {
  std::string const text = to_text(some_record());
  for (std::size_t length = 0; length < text.size(); ++length)
    EXPECT_TRUE(parse_verified(std::string_view(text).substr(0, length)).empty()) << length;
}

std::string sealed(std::string const& body) { return body + "end " + sha256_hex(body) + "\n"; }

TEST(VerifiedRecordText, AWellSealedTextOfAnotherFormIsWorthless) {
  std::string const hash(64, 'a');
  std::string const good = hash + " 1 2 3 4 5 blobs/x\n";
  EXPECT_EQ(parse_verified(sealed("homelab-verified 1\n" + good)).size(), 1U);
  for (std::string const& body : {
           std::string("homelab-verified 2\n") + good,
           "homelab-verified 1\n" + good + good,
           std::string("homelab-verified 1\n") + "short 1 2 3 4 5 blobs/x\n",
           "homelab-verified 1\n" + hash + " -1 2 3 4 5 blobs/x\n",
           "homelab-verified 1\n" + hash + " 1 2 3 4 5 \n",
           "homelab-verified 1\n" + hash + " 1 2 99999999999999999999 4 5 blobs/x\n",
           "homelab-verified 1\n" + hash + " 1 2 3 4\n",
           std::string("homelab-verified 1"),
       })
    EXPECT_TRUE(parse_verified(sealed(body)).empty()) << body;
}

TEST(VerifiedRecordText, APathThatWouldBreakALineIsNotRemembered) {
  VerifiedRecord record = some_record();
  record["blobs/evil\nname"] = record.begin()->second;
  EXPECT_EQ(parse_verified(to_text(record)), some_record());
}

TEST(VerifiedRecordText, TheNumberOfRememberedFilesIsBounded) {
  VerifiedRecord record;
  Verified const entry = some_record().begin()->second;
  for (std::size_t i = 0; i < kMaxVerified + 10; ++i)
    record.emplace_hint(record.end(), "blobs/" + std::to_string(i + 1'000'000), entry);
  EXPECT_EQ(parse_verified(to_text(record)).size(), kMaxVerified);
}

using VerifiedRecordFiles = HubFixture;

TEST_F(VerifiedRecordFiles, AreKeptBesideTheLocksAndReadAgain) {
  VerifiedRecords const records(hub());
  EXPECT_TRUE(records.read("models--org--name").empty());
  auto const written = records.write("models--org--name", some_record());
  ASSERT_TRUE(written) << why(written);
  EXPECT_EQ(records.read("models--org--name"), some_record());
  EXPECT_TRUE(
      std::filesystem::is_regular_file(hub() / ".locks/.homelab-llm/verified/models--org--name"));
}

TEST_F(VerifiedRecordFiles, AreNotWrittenThroughAPlantedLink) {
  auto const outside = dir_ / "outside";
  std::filesystem::create_directories(outside);
  std::filesystem::create_directories(hub() / ".locks/.homelab-llm");
  std::filesystem::create_directory_symlink(outside, hub() / ".locks/.homelab-llm/verified");
  EXPECT_FALSE(VerifiedRecords(hub()).write("models--org--name", some_record()));
  EXPECT_TRUE(std::filesystem::is_empty(outside));
}

TEST(SettledFacts, AreOlderThanOneTickOfTheFileSystem) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  FileFacts const fine{1, 1, 0, 100 * kSecond + 1};
  EXPECT_FALSE(is_settled(fine, fine.changed_ns));
  EXPECT_FALSE(is_settled(fine, fine.changed_ns + kSecond / 20));
  EXPECT_TRUE(is_settled(fine, fine.changed_ns + kSecond / 10));
  EXPECT_FALSE(is_settled(fine, fine.changed_ns - kSecond)) << "a clock that went back";
  FileFacts const coarse{1, 1, 0, 100 * kSecond};
  EXPECT_FALSE(is_settled(coarse, coarse.changed_ns + 2 * kSecond));
  EXPECT_TRUE(is_settled(coarse, coarse.changed_ns + 3 * kSecond));
}

}  // namespace
}  // namespace homelab::cache
