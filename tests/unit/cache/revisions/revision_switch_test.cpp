#include "cache/revision_switch.h"

#include <fstream>

#include "../hub_fixture.h"
#include "revisions/move_record.h"

namespace homelab::cache {
namespace {

CommitHash commit_of(char digit) { return CommitHash::parse(std::string(40, digit)).value(); }

class RevisionSwitch : public HubFixture {
 protected:
  void move(char digit) {
    auto const moved = switch_revision(writer(), main_, commit_of(digit));
    if (!moved) throw std::runtime_error(moved.error().message);
  }
  CommitHash now() { return writer().folder().read_ref(main_).value(); }
  std::optional<CommitHash> before() { return commit_before(writer().folder(), main_).value(); }
  [[nodiscard]] Path record() const {
    return hub() / ".locks/.homelab-llm/revisions/models--org--name";
  }

  Revision main_ = Revision::main();
};

TEST_F(RevisionSwitch, GoesForwardAndBackStepByStep) {
  for (char const digit : {'1', '2', '3'}) move(digit);
  EXPECT_EQ(now(), commit_of('3'));
  EXPECT_EQ(switch_back(writer(), main_).value(), commit_of('2'));
  EXPECT_EQ(now(), commit_of('2'));
  EXPECT_EQ(switch_back(writer(), main_).value(), commit_of('1'));
  auto const no_further = switch_back(writer(), main_);
  ASSERT_FALSE(no_further);
  EXPECT_EQ(no_further.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(now(), commit_of('1'));
}

TEST_F(RevisionSwitch, TheFirstRefHasNothingBeforeIt) {
  move('1');
  EXPECT_EQ(before(), std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(record()));
}

TEST_F(RevisionSwitch, ToTheSameCommitIsNoMove) {
  move('1');
  move('2');
  move('2');
  EXPECT_EQ(switch_back(writer(), main_).value(), commit_of('1'));
}

TEST_F(RevisionSwitch, WhatAnotherProgramMovedIsNotUndone) {
  move('1');
  move('2');
  std::ofstream(repo() / "refs/main", std::ios::trunc) << commit_of('9').text();
  EXPECT_EQ(before(), std::nullopt);
  EXPECT_FALSE(switch_back(writer(), main_));
  EXPECT_EQ(now(), commit_of('9'));
}

TEST_F(RevisionSwitch, RefsOfOneRepositoryHaveTheirOwnWays) {
  auto const tag = Revision::parse("feat/nested").value();
  move('1');
  move('2');
  ASSERT_TRUE(switch_revision(writer(), tag, commit_of('1')));
  ASSERT_TRUE(switch_revision(writer(), tag, commit_of('2')));
  EXPECT_EQ(switch_back(writer(), tag).value(), commit_of('1'));
  EXPECT_EQ(now(), commit_of('2'));
  EXPECT_EQ(before(), commit_of('1'));
}

TEST_F(RevisionSwitch, ANoteOfAMoveThatNeverHappenedDoesNoHarm) {
  move('1');
  move('2');
  // Killed between the note and the ref.
  std::ofstream(repo() / "refs/main", std::ios::trunc) << commit_of('1').text();
  EXPECT_EQ(before(), std::nullopt);
  move('3');
  EXPECT_EQ(switch_back(writer(), main_).value(), commit_of('1'));
}

TEST_F(RevisionSwitch, ADamagedRecordOnlyCostsTheWayBack) {
  move('1');
  move('2');
  std::ofstream(record(), std::ios::app) << "x";
  EXPECT_EQ(before(), std::nullopt);
  move('3');
  EXPECT_EQ(before(), commit_of('2'));
}

TEST_F(RevisionSwitch, TheRecordIsBounded) {
  for (int i = 0; i < 300; ++i) move(i % 2 == 0 ? 'a' : 'b');
  std::ifstream file(record());
  std::string const text(std::istreambuf_iterator<char>(file), {});
  EXPECT_EQ(parse_moves(text).size(), kMaxMoves);
}

TEST(MoveRecord, EveryFlippedByteAndEveryShortenedTextIsWorthless) {
  std::vector<RevisionMove> const moves{
      {Revision::main(), commit_of('1'), commit_of('2'), 5},
      {Revision::parse("refs/pr/1").value(), commit_of('3'), commit_of('4'), 1'700'000'000}};
  std::string const text = to_text(moves);
  EXPECT_EQ(parse_moves(text), moves);
  for (std::size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    EXPECT_TRUE(parse_moves(damaged).empty()) << "byte " << i;
    EXPECT_TRUE(parse_moves(text.substr(0, i)).empty()) << "length " << i;
  }
}

}  // namespace
}  // namespace homelab::cache
