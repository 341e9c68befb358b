#include <gtest/gtest.h>

#include <random>

#include "index/bytes.h"
#include "index/index_file.h"
#include "index/record.h"

namespace homelab::cache::index {
namespace {

Record example() {
  Record record;
  record.facts = 0x0123456789abcdef;
  record.other_disk_bytes = 4096;
  record.plain_bytes = 77;
  record.complete = true;
  record.folders = {{0, "", {{"a note", WatchKind::kFile, "", 0}}},
                    {1,
                     "blobs",
                     {{std::string(64, 'a'), WatchKind::kBlob, "", 2},
                      {std::string(64, 'b'), WatchKind::kStored, std::string(64, 'c'), 300}}},
                    {1, "snapshots", {}},
                    {2, std::string(40, 'd'), {{"plain.txt", WatchKind::kPlain, "", 0}}},
                    {1, "refs", {{"main", WatchKind::kFile, "", 0}}}};
  record.revisions = {
      {CommitHash::parse(std::string(40, 'd')).value(), {"main", "refs/pr/1"}, 3, -5}};
  return record;
}

std::optional<Record> again(Record const& record) { return parse_record(to_bytes(record)); }

TEST(IndexRecord, ComesBackAsItWas) { EXPECT_EQ(again(example()), example()); }

TEST(IndexRecord, AHashTakesHalfOfItsBytes) {
  ByteWriter out;
  out.text(std::string(64, 'a'));
  EXPECT_EQ(out.bytes().size(), 2U + 32U);
}

TEST(IndexRecord, NumbersOfAnySizeComeBack) {
  for (unsigned bits = 0; bits < 64; ++bits) {
    for (std::uint64_t const value : {(1ULL << bits) - 1, 1ULL << bits, ~0ULL >> bits}) {
      ByteWriter out;
      out.number(value);
      out.fixed(value);
      ByteReader in(out.bytes());
      EXPECT_EQ(in.number(), value);
      EXPECT_EQ(in.fixed(), value);
      EXPECT_TRUE(in.at_end());
    }
  }
}

TEST(IndexRecord, NamesThatLeadElsewhereAreRefused) {
  using namespace std::string_literals;
  for (auto const& name : {""s, "."s, ".."s, "a/b"s, "/etc"s, "a\0b"s, std::string(256, 'x')}) {
    auto file = example();
    file.folders[4].files[0].name = name;
    EXPECT_FALSE(again(file)) << name;
    auto folder = example();
    folder.folders[2].name = name;
    EXPECT_FALSE(again(folder)) << name;
  }
  auto payload = example();
  payload.folders[1].files[1].payload = "../../../../etc/passwd";
  EXPECT_FALSE(again(payload));
}

TEST(IndexRecord, FoldersStandAfterTheirParents) {
  auto jump = example();
  jump.folders[1].depth = 2;
  EXPECT_FALSE(again(jump));
  auto second_root = example();
  second_root.folders[2].depth = 0;
  EXPECT_FALSE(again(second_root));
  auto none = example();
  none.folders.clear();
  EXPECT_FALSE(again(none));
  auto deep = example();
  for (std::size_t depth = 2; depth < 300; ++depth) deep.folders.push_back({depth, "d", {}});
  EXPECT_FALSE(again(deep));
}

TEST(IndexRecord, NamesAreInOrderAndOnce) {
  auto twice = example();
  twice.folders[1].files[1].name = twice.folders[1].files[0].name;
  EXPECT_FALSE(again(twice));
  auto revision = example();
  revision.revisions.push_back(revision.revisions[0]);
  EXPECT_FALSE(again(revision));
}

TEST(IndexRecord, CutOrLengthenedBytesAreRefused) {
  std::string const good = to_bytes(example());
  for (std::size_t length = 0; length < good.size(); ++length)
    EXPECT_FALSE(parse_record(std::string_view(good).substr(0, length))) << length;
  EXPECT_FALSE(parse_record(good + '\0'));
}

TEST(IndexRecord, AnyBytesGiveNothingOrARecordThatComesBack) {
  std::mt19937 random(7);
  std::string const good = to_bytes(example());
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string bytes = good;
    for (std::size_t flips = 1 + random() % 3; flips > 0; --flips)
      bytes[random() % bytes.size()] = static_cast<char>(random());
    auto const record = parse_record(bytes);
    if (!record) continue;
    ++accepted;
    EXPECT_EQ(again(*record), record);
  }
  EXPECT_GT(accepted, 0U);
}

TEST(IndexTable, ComesBackAndNamesNoRecordOutsideTheFile) {
  Table const table = {{"datasets--a--b", 8, 100, 1}, {"models--a--b", 108, 20, ~0ULL}};
  EXPECT_EQ(parse_table(to_bytes(table), 128), table);
  EXPECT_FALSE(parse_table(to_bytes(table), 127));
  EXPECT_FALSE(parse_table(to_bytes(Table{{"models--a", ~0ULL, 2, 0}}), 128));
  EXPECT_FALSE(parse_table(to_bytes(Table{table[1], table[0]}), 128));
}

}  // namespace
}  // namespace homelab::cache::index
