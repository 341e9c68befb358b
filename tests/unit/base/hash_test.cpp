#include "base/hash.h"

#include <gtest/gtest.h>

#include <set>

namespace homelab {
namespace {

TEST(Hash, KnowsThePublishedVectors) {
  EXPECT_EQ(sha256_hex(""), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256_hex(std::string(1'000'000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Hash, PiecesGiveTheSameAsTheWhole) {
  Hasher hasher = Hasher::sha256();
  hasher.update("a");
  hasher.update("");
  hasher.update("bc");
  Hasher moved = std::move(hasher);
  EXPECT_EQ(moved.finish(), sha256_hex("abc"));
}

TEST(Hash, GitBlobsAreWhatGitSays) {
  Hasher empty = Hasher::git_blob(0);
  EXPECT_EQ(empty.finish(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
  Hasher hello = Hasher::git_blob(6);
  hello.update("hello\n");
  EXPECT_EQ(hello.finish(), "ce013625030ba8dba906f756967f9e9ca394464a");
}

TEST(Hash, RandomTextIsHexOfTheAskedLengthAndDiffers) {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) {
    std::string const text = random_hex(8);
    EXPECT_EQ(text.size(), 16U);
    EXPECT_EQ(text.find_first_not_of("0123456789abcdef"), std::string::npos);
    seen.insert(text);
  }
  EXPECT_EQ(seen.size(), 100U);
}

}  // namespace
}  // namespace homelab
