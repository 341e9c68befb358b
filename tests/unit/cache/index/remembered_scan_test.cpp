#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <random>
#include <set>

#include "index/remembered.h"
#include "remembered_fixture.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

class RememberedScanTest : public RememberedFixture {
 protected:
  RememberedScanTest() {
    put("config.json", "{}");
    put("onnx/model.onnx", "onnx");
    write(repo() / "refs/main", hex('c'));
    write(repo() / "refs/refs/pr/1", hex('c'));
    write(repo() / "trees/main.json", "[]");
    write(repo() / ".no_exist" / hex('c') / "adapter.json", "");
    write(snapshot() / "plain.txt", "a regular file");
    write(hub() / "models--other--one/refs/main", hex('d'));
    write(hub() / "models--other--one/snapshots" / hex('d') / "file", "x");
  }

  /// Rewrites bytes of an existing file without making a new one.
  static void overwrite(Path const& path, std::string_view content) {
    auto const file = os::open_file(path, O_WRONLY);
    ASSERT_TRUE(file) << path;
    ASSERT_TRUE(os::write_all_at(file->get(), bytes_of(content), 0));
  }
  [[nodiscard]] Path blob(std::string_view content) const {
    return repo() / "blobs" / sha256_hex(content);
  }
  void share(std::string_view content) const {
    std::string const payload = sha256_hex(content);
    write(hub() / "blobs/.huggingface-shared-blobs", "1\n");
    write(hub() / "blobs" / payload.substr(0, 2) / payload, content);
    symlink("../../blobs/" + payload.substr(0, 2) + "/" + payload,
            repo() / "blobs" / sha256_hex("link to " + payload).substr(0, 40));
  }
  /// True when the next scan would take this repository from the index.
  [[nodiscard]] bool recalls(std::string const& name, ScanDepth depth) const {
    scan::HubPlace place;
    place.path = hub();
    place.depth = depth;
    place.folder = os::UniqueFd(::open(hub().c_str(), O_RDONLY | O_DIRECTORY));
    place.store = scan::open_folder_at(place.folder.get(), "blobs");
    return index::Remembered(place).recall(name).has_value();
  }
  [[nodiscard]] Path index_name() const {
    return index_folder() / ("sizes-" + std::to_string(::geteuid()));
  }
  void remember() const {
    settle();
    expect_right("while it is remembered");
  }
};

TEST_F(RememberedScanTest, ARepositoryThatNobodyTouchedIsNotReadAgain) {
  share("payload");
  remember();
  for (auto const depth : {ScanDepth::kSizes, ScanDepth::kUses}) {
    EXPECT_TRUE(recalls("models--org--name", depth));
    EXPECT_TRUE(recalls("models--other--one", depth));
  }
  expect_right("afterwards");
}

TEST_F(RememberedScanTest, OnlyTheRepositoryThatChangedIsReadAgain) {
  remember();
  put("new.bin", "new");
  EXPECT_FALSE(recalls("models--org--name", ScanDepth::kSizes));
  EXPECT_TRUE(recalls("models--other--one", ScanDepth::kSizes));
  remember();
  EXPECT_TRUE(recalls("models--org--name", ScanDepth::kSizes));
}

TEST_F(RememberedScanTest, ReadingABlobChangesItsLastUseOnly) {
  remember();
  struct timespec const times[2] = {{2'000'000'000, 5}, {0, UTIME_OMIT}};
  ASSERT_EQ(::utimensat(AT_FDCWD, blob("{}").c_str(), times, 0), 0);
  EXPECT_NE(remembered(ScanDepth::kSizes).find("2000000000000000005"), std::string::npos);
  expect_right("with a time set by hand");
}

TEST_F(RememberedScanTest, WithEntriesEverythingIsReadFromTheDisk) {
  remember();
  EXPECT_EQ(remembered(ScanDepth::kEverything), disk(ScanDepth::kEverything));
}

TEST_F(RememberedScanTest, AChangeInTheTickOfTheScanIsSeen) {
  for (int round = 0; round < 50; ++round) {
    overwrite(repo() / "refs/main", hex(round % 2 == 0 ? 'a' : 'c'));
    expect_right("first");
    overwrite(repo() / "refs/main", hex(round % 2 == 0 ? 'c' : 'a'));
    expect_right("second");
  }
}

TEST_F(RememberedScanTest, RepositoriesThatLocksOrOtherPlacesDecideAboutAreReadEachTime) {
  write(repo() / "blobs" / (hex('a', 64) + ".incomplete"), "part");
  symlink((repo() / "blobs" / sha256_hex("{}")).string(),
          hub() / "models--other--one/snapshots" / hex('d') / "absolute");
  remember();
  EXPECT_FALSE(recalls("models--org--name", ScanDepth::kUses));
  EXPECT_FALSE(recalls("models--other--one", ScanDepth::kUses));
}

TEST_F(RememberedScanTest, AStoppedScanKeepsTheOldIndexAndLeavesNothing) {
  remember();
  put("new.bin", "new");
  auto const stopped = scan_hub(
      hub(), [](RepoScan&&) -> Status { return fail(Code::kCancelled, "stopped"); },
      ScanDepth::kSizes, ScanSource::kIndex);
  EXPECT_FALSE(stopped);
  EXPECT_TRUE(recalls("models--other--one", ScanDepth::kSizes));
  for (auto const& entry : fs::directory_iterator(index_folder()))
    EXPECT_NE(entry.path().extension(), ".tmp") << entry.path();
}

TEST_F(RememberedScanTest, ACacheThatTakesNoIndexIsReadEachTime) {
  write(hub() / ".locks", "a file where the folder would be");
  settle();
  expect_right("first");
  expect_right("again");
}

TEST_F(RememberedScanTest, OnlyTheOwnerOfACacheLeavesAnIndexInIt) {
  settle();
  constexpr uid_t kSomebody = 54321;
  bool const is_foreign = ::chown(hub().c_str(), kSomebody, static_cast<gid_t>(-1)) == 0;
  expect_right("with that owner");
  EXPECT_EQ(fs::exists(hub() / ".locks"), !is_foreign);
}

TEST_F(RememberedScanTest, WhatStandsInPlaceOfTheIndexIsNotFollowed) {
  remember();
  Path const outside = dir_ / "outside";
  fs::copy_file(index_name(), outside);
  fs::remove(index_name());
  fs::create_symlink(outside, index_name());
  EXPECT_FALSE(recalls("models--org--name", ScanDepth::kSizes));
  auto const before = fs::last_write_time(outside);
  expect_right("with a link");
  EXPECT_EQ(fs::last_write_time(outside), before);
  EXPECT_FALSE(fs::is_symlink(index_name()));
}

TEST_F(RememberedScanTest, AnIndexThatOthersMayWriteIsNotBelieved) {
  remember();
  fs::permissions(index_name(), fs::perms::others_write, fs::perm_options::add);
  EXPECT_FALSE(recalls("models--org--name", ScanDepth::kSizes));
}

TEST_F(RememberedScanTest, ADamagedIndexIsNotBelieved) {
  remember();
  auto const path = index_name();
  std::string const good = os::read_file(path, 1 << 20).value();
  auto const expected = disk(ScanDepth::kSizes);
  std::mt19937 random(4);
  for (std::size_t i = 0; i < 2 * good.size(); ++i) {
    std::string bad = good;
    if (i < good.size()) {
      bad.resize(i);
    } else {
      bad[i - good.size()] = static_cast<char>(random());
    }
    fs::remove(path);
    std::ofstream(path, std::ios::binary) << bad;
    fs::permissions(path, fs::perms::owner_read | fs::perms::owner_write);
    ASSERT_EQ(remembered(ScanDepth::kSizes), expected) << i;
  }
}

TEST_F(RememberedScanTest, TheIndexOfAnotherCacheIsWorthNothingHere) {
  remember();
  Path const copy = dir_ / "copy";
  fs::copy(hub(), copy, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  write(copy / "models--org--name/refs/main", hex('b'));
  EXPECT_EQ(scan_text(copy, ScanDepth::kSizes, ScanSource::kIndex),
            scan_text(copy, ScanDepth::kSizes, ScanSource::kDisk));
}

TEST_F(RememberedScanTest, ProcessesAtTheSameTimeAllSeeTheSame) {
  settle();
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    pid_t const child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      bool good = true;
      for (int round = 0; round < 20; ++round) {
        good = good && remembered(ScanDepth::kSizes) == disk(ScanDepth::kSizes);
        std::error_code ignored;
        if (round % 5 == i) fs::remove(index_name(), ignored);
      }
      ::_exit(good ? 0 : 1);
    }
    children.push_back(child);
  }
  for (pid_t const child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
}

class OutsideChangeTest : public RememberedScanTest {
 public:
  /// One step of somebody else; `at` chooses among everything there is. Some steps find nothing to
  /// do.
  void step(std::size_t which, std::mt19937& random);
  static constexpr std::size_t kSteps = 24;

 private:
  [[nodiscard]] Path some(Path const& below, bool folder, std::mt19937& random) const {
    std::vector<Path> found;
    std::error_code error;
    for (auto const& entry : fs::recursive_directory_iterator(below, error)) {
      bool const is_folder = entry.is_directory() && !entry.is_symlink();
      bool const is_file = entry.is_regular_file() && !entry.is_symlink();
      if (folder ? is_folder : is_file) found.push_back(entry.path());
    }
    std::ranges::sort(found);
    return found.empty() ? Path() : found[random() % found.size()];
  }
  [[nodiscard]] Path some_repo(std::mt19937& random) const {
    return hub() / (random() % 2 == 0 ? "models--org--name" : "models--other--one");
  }
  void change_blob(std::size_t which, std::mt19937& random);
  void change_names(std::size_t which, std::mt19937& random);
  void change_repo(std::size_t which, std::mt19937& random);
};

void OutsideChangeTest::step(std::size_t which, std::mt19937& random) {
  if (which < 8) return change_blob(which, random);
  if (which < 18) return change_names(which, random);
  change_repo(which, random);
}

void OutsideChangeTest::change_blob(std::size_t which, std::mt19937& random) {
  Path const file = some(repo() / "blobs", false, random);
  std::string const text = std::to_string(random());
  switch (which) {
    case 0:
      return put("file-" + text, text);
    case 1:
      return share(text);
    case 2:
      return write(repo() / "blobs" / (hex('a', 40) + ".incomplete"),
                   std::string(random() % 9000, 'p'));
    default:
      break;
  }
  if (file.empty()) return;
  struct stat before{};
  ASSERT_EQ(::stat(file.c_str(), &before), 0);
  switch (which) {
    case 3:
      fs::resize_file(file, random() % 5000);
      break;
    case 4:
      std::ofstream(file, std::ios::app) << text;
      break;
    case 5: {
      overwrite(file, "zz");
      struct timespec const times[2] = {before.st_atim, before.st_mtim};
      ASSERT_EQ(::utimensat(AT_FDCWD, file.c_str(), times, 0), 0);
      break;
    }
    case 6:
      fs::remove(file);
      break;
    default:
      fs::create_hard_link(file, dir_ / ("second-" + text));
  }
}

void OutsideChangeTest::change_names(std::size_t which, std::mt19937& random) {
  std::string const text = std::to_string(random());
  Path const folder = some(repo(), true, random);
  Path const file = some(repo(), false, random);
  switch (which) {
    case 8:
      return write(repo() / "refs/main", hex(random() % 2 == 0 ? 'c' : 'a'));
    case 9:
      return write(repo() / "refs/refs/pr" / text, hex('c'));
    case 10:
      fs::remove_all(repo() / "refs/refs/pr");
      return;
    case 11:
      return write(repo() / "trees" / (text + ".json"), text);
    case 12:
      return write(repo() / ".no_exist" / hex('c') / text, "");
    case 13:
      if (!folder.empty()) fs::create_directories(folder / ("made-" + text));
      return;
    case 14:
      if (!file.empty()) fs::rename(file, file.parent_path() / ("renamed-" + text));
      return;
    case 15:
      fs::remove(snapshot() / "config.json");
      symlink("../../blobs/" + sha256_hex("onnx"), snapshot() / "config.json");
      return;
    case 16:
      return write(snapshot() / "plain.txt", text);
    default:
      if (folder.empty()) return;
      ASSERT_EQ(::chmod(folder.c_str(), random() % 2 == 0 ? 0700 : 0711), 0);
  }
}

void OutsideChangeTest::change_repo(std::size_t which, std::mt19937& random) {
  Path const from = some_repo(random);
  Path const away = dir_ / "away";
  switch (which) {
    case 18:
      fs::remove_all(from);
      return;
    case 19:
      return write(hub() / ("datasets--new--" + std::to_string(random() % 4)) / "refs/main",
                   hex('a'));
    case 20:
      fs::remove_all(away);
      if (fs::exists(from)) fs::rename(from, away);
      return;
    case 21:
      if (fs::exists(away) && !fs::exists(from)) fs::rename(away, from);
      return;
    case 22: {
      // The same folder at another place, a link in its stead.
      Path const blobs = repo() / "blobs";
      if (fs::is_symlink(blobs)) {
        fs::remove(blobs);
      } else if (fs::exists(blobs)) {
        fs::remove_all(dir_ / "moved");
        fs::rename(blobs, dir_ / "moved");
        fs::create_symlink(dir_ / "moved", blobs);
      }
      return;
    }
    default: {
      Path const store = hub() / "blobs";
      if (fs::exists(store)) fs::rename(store, dir_ / ("store-" + std::to_string(random())));
    }
  }
}

class OneChangeTest : public OutsideChangeTest,
                      public ::testing::WithParamInterface<std::size_t> {};

TEST_P(OneChangeTest, IsSeenByTheNextScanAndRememberedByTheOneAfter) {
  std::mt19937 random(static_cast<unsigned>(GetParam()));
  share("payload");
  remember();
  auto const before = disk(ScanDepth::kUses);
  step(GetParam(), random);
  expect_right("at once");
  remember();
  expect_right("afterwards");
  // An empty note of a missing file, a new name for a listing, a mode: facts that no list shows;
  // a modification time set back; and the step that brings back what is not away.
  bool const shows_nothing = std::set<std::size_t>{5, 12, 14, 17, 21}.contains(GetParam());
  EXPECT_EQ(disk(ScanDepth::kUses) == before, shows_nothing);
}

INSTANTIATE_TEST_SUITE_P(Every, OneChangeTest,
                         ::testing::Range(std::size_t{0}, OutsideChangeTest::kSteps));

TEST_F(OutsideChangeTest, AnySequenceOfChangesGivesWhatTheDiskHolds) {
  unsigned const seed = std::random_device{}();
  std::mt19937 random(seed);
  for (int round = 0; round < 40 && !HasFailure(); ++round) {
    for (std::size_t steps = random() % 8; steps > 0; --steps) {
      step(random() % kSteps, random);
      expect_right("seed " + std::to_string(seed));
    }
    if (random() % 2 == 0) settle();
    expect_right("seed " + std::to_string(seed));
  }
}

}  // namespace
}  // namespace homelab::cache
