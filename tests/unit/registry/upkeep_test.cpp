#include "registry/upkeep.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "original_database.h"
#include "registry/registry.h"
#include "support/temp_dir.h"

namespace homelab::registry {
namespace {

using ::homelab::test::slurp;
using ::homelab::test::TempDir;
using ::testing::HasSubstr;
using ::testing::StartsWith;

using Path = std::filesystem::path;

NewModel model(std::string const& name) {
  NewModel made;
  made.model_name = name;
  made.hf_path = "org/" + name;
  return made;
}

/// A closed registry with these models.
void make_registry(Path const& file, std::vector<std::string> const& names) {
  auto const registry = Registry::open(file);
  ASSERT_TRUE(registry) << registry.error().message;
  for (auto const& name : names) ASSERT_TRUE((*registry)->add(model(name)));
}

std::vector<std::string> names_in(Path const& file) {
  auto const registry = Registry::open(file);
  if (!registry) return {registry.error().message};
  std::vector<std::string> names;
  auto const models = (*registry)->list();
  for (auto const& one : *models) names.push_back(one.model_name);
  return names;
}

/// Pages of tables and indexes overwritten; the first page, which says what it is, left.
void damage(Path const& file) {
  std::string bytes = slurp(file);
  ASSERT_GT(bytes.size(), 3U * 4096);
  for (std::size_t at = 4096; at < bytes.size(); ++at) bytes[at] = 'Z';
  std::ofstream(file, std::ios::binary) << bytes;
}

std::vector<std::string> names_like(TempDir const& folder, std::string const& part) {
  std::vector<std::string> found;
  for (auto const& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().filename().string().find(part) != std::string::npos)
      found.push_back(entry.path().filename().string());
  return found;
}

TEST(CheckDatabase, CountsWhatIsInAWholeOneAndChangesNothing) {
  TempDir const folder;
  auto const file = folder / "models.db";
  make_registry(file, {"one", "two"});
  std::string const before = slurp(file);
  auto const health = check_database(file);
  ASSERT_TRUE(health) << health.error().message;
  EXPECT_TRUE(health->damage.empty());
  EXPECT_EQ(health->models, 2);
  EXPECT_EQ(health->performance_rows, 0);
  EXPECT_GT(health->schema, 0);
  EXPECT_EQ(health->size_bytes, before.size());
  EXPECT_EQ(slurp(file), before);
}

TEST(CheckDatabase, LooksAtADatabaseThatAServerHasOpen) {
  TempDir const folder;
  auto const registry = Registry::open(folder / "models.db");
  ASSERT_TRUE((*registry)->add(model("one")));
  auto const health = check_database(folder / "models.db");
  ASSERT_TRUE(health) << health.error().message;
  EXPECT_EQ(health->models, 1);
}

TEST(CheckDatabase, ReadsAFileOfTheOriginalProgram) {
  TempDir const folder;
  test::make_newest_original(folder / "models.db");
  auto const health = check_database(folder / "models.db");
  ASSERT_TRUE(health) << health.error().message;
  EXPECT_EQ(health->schema, 0);
  EXPECT_GT(health->models, 0);
}

TEST(CheckDatabase, SaysWhatIsDamaged) {
  TempDir const folder;
  auto const file = folder / "models.db";
  make_registry(file, {"one"});
  damage(file);
  auto const health = check_database(file);
  if (health) {
    EXPECT_FALSE(health->damage.empty());
  } else {
    EXPECT_EQ(health.error().code, Code::kDataLoss) << health.error().message;
  }
}

TEST(CheckDatabase, RefusesWhatIsNoRegistryByName) {
  TempDir const folder;
  EXPECT_EQ(check_database(folder / "missing.db").error().code, Code::kNotFound);
  EXPECT_FALSE(std::filesystem::exists(folder / "missing.db"));
  std::ofstream(folder / "notes.txt") << std::string(5000, 'x');
  auto const text = check_database(folder / "notes.txt");
  EXPECT_EQ(text.error().code, Code::kDataLoss);
  EXPECT_THAT(text.error().message, HasSubstr("notes.txt"));
  SQLite::Database((folder / "other.db").string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE)
      .exec("CREATE TABLE songs (title TEXT)");
  EXPECT_EQ(check_database(folder / "other.db").error().code, Code::kFailedPrecondition);
}

TEST(BackupDatabase, CopiesWhatAServerHasWrittenSoFar) {
  TempDir const folder;
  auto const registry = Registry::open(folder / "models.db");
  ASSERT_TRUE((*registry)->add(model("one")));
  auto const copy = backup_database(folder / "models.db", std::nullopt);
  ASSERT_TRUE(copy) << copy.error().message;
  EXPECT_THAT(copy->filename().string(), StartsWith("models.db.backup-"));
  ASSERT_TRUE((*registry)->add(model("later")));
  EXPECT_THAT(names_in(*copy), testing::ElementsAre("one"));
  EXPECT_EQ(newest_backup(folder / "models.db"), *copy);
}

TEST(BackupDatabase, NeverWritesOverAFileThatIsThere) {
  TempDir const folder;
  make_registry(folder / "models.db", {"one"});
  std::ofstream(folder / "precious") << "mine";
  auto const copy = backup_database(folder / "models.db", folder / "precious");
  EXPECT_EQ(copy.error().code, Code::kAlreadyExists);
  EXPECT_EQ(slurp(folder / "precious"), "mine");
}

TEST(BackupDatabase, AFolderThatIsMissingLeavesNothingBehind) {
  TempDir const folder;
  make_registry(folder / "models.db", {"one"});
  auto const copy = backup_database(folder / "models.db", folder / "no" / "copy.db");
  ASSERT_FALSE(copy);
  EXPECT_THAT(copy.error().message, HasSubstr("copy.db"));
  EXPECT_FALSE(std::filesystem::exists(folder / "no"));
}

TEST(RestoreDatabase, PutsACopyBackAndKeepsWhatWasThere) {
  TempDir const folder;
  auto const file = folder / "models.db";
  make_registry(file, {"one"});
  auto const copy = backup_database(file, folder / "copy.db");
  make_registry(file, {"two"});
  auto const restored = restore_database(*copy, file);
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_EQ(restored->health.models, 1);
  EXPECT_THAT(names_in(file), testing::ElementsAre("one"));
  ASSERT_TRUE(restored->replaced);
  EXPECT_THAT(names_in(*restored->replaced), testing::UnorderedElementsAre("one", "two"));
  EXPECT_THAT(names_in(*copy), testing::ElementsAre("one"));
  EXPECT_TRUE(names_like(folder, ".restoring").empty());
}

TEST(RestoreDatabase, WorksWhereNothingStandsOrOnlyDamage) {
  TempDir const folder;
  make_registry(folder / "copy.db", {"one"});
  ASSERT_TRUE(restore_database(folder / "copy.db", folder / "new.db"));
  EXPECT_THAT(names_in(folder / "new.db"), testing::ElementsAre("one"));

  make_registry(folder / "broken.db", {"two"});
  damage(folder / "broken.db");
  std::string const bytes = slurp(folder / "broken.db");
  auto const restored = restore_database(folder / "copy.db", folder / "broken.db");
  ASSERT_TRUE(restored) << restored.error().message;
  EXPECT_THAT(names_in(folder / "broken.db"), testing::ElementsAre("one"));
  EXPECT_EQ(slurp(*restored->replaced), bytes);
}

TEST(RestoreDatabase, IsRefusedWhileAServerHasItOpen) {
  TempDir const folder;
  make_registry(folder / "copy.db", {"one"});
  auto const registry = Registry::open(folder / "models.db");
  ASSERT_TRUE((*registry)->add(model("mine")));
  auto const restored = restore_database(folder / "copy.db", folder / "models.db");
  ASSERT_FALSE(restored);
  EXPECT_EQ(restored.error().code, Code::kUnavailable) << restored.error().message;
  EXPECT_THAT(restored.error().message, HasSubstr("stop it"));
  EXPECT_EQ((*registry)->list()->size(), 1U);
  EXPECT_TRUE(names_like(folder, ".restoring").empty());
}

TEST(RestoreDatabase, ADamagedCopyChangesNothing) {
  TempDir const folder;
  make_registry(folder / "models.db", {"mine"});
  make_registry(folder / "copy.db", {"one"});
  damage(folder / "copy.db");
  EXPECT_EQ(restore_database(folder / "copy.db", folder / "models.db").error().code,
            Code::kDataLoss);
  EXPECT_THAT(names_in(folder / "models.db"), testing::ElementsAre("mine"));
  EXPECT_TRUE(names_like(folder, "replaced").empty());
}

TEST(RestoreDatabase, TheDatabaseItselfIsNoCopyOfIt) {
  TempDir const folder;
  make_registry(folder / "models.db", {"mine"});
  EXPECT_EQ(restore_database(folder / "models.db", folder / "models.db").error().code,
            Code::kInvalidArgument);
  EXPECT_THAT(names_in(folder / "models.db"), testing::ElementsAre("mine"));
}

TEST(SetAside, ADamagedRegistryKeepsEveryByteUnderAnotherName) {
  TempDir const folder;
  auto const file = folder / "models.db";
  make_registry(file, {"one"});
  damage(file);
  std::string const bytes = slurp(file);
  auto const aside = set_aside_if_damaged(file);
  ASSERT_TRUE(aside) << aside.error().message;
  ASSERT_TRUE(*aside);
  EXPECT_THAT((*aside)->filename().string(), StartsWith("models.db.damaged-"));
  EXPECT_EQ(slurp(**aside), bytes);
  EXPECT_TRUE(names_in(file).empty());
}

TEST(SetAside, LeavesWholeMissingAndForeignFilesAlone) {
  TempDir const folder;
  make_registry(folder / "models.db", {"one"});
  std::ofstream(folder / "notes.txt") << std::string(5000, 'x');
  for (auto const& name : {"models.db", "notes.txt", "missing.db"}) {
    auto const aside = set_aside_if_damaged(folder / name);
    ASSERT_TRUE(aside) << aside.error().message;
    EXPECT_FALSE(*aside) << name;
  }
  EXPECT_THAT(names_in(folder / "models.db"), testing::ElementsAre("one"));
  EXPECT_EQ(slurp(folder / "notes.txt").size(), 5000U);
}

/// A program that is killed leaves its write-ahead log.
TEST(SetAside, TheLogOfAnUncleanEndIsFoldedInNotThrownAway) {
  TempDir const folder;
  auto const file = folder / "models.db";
  pid_t const child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto const registry = Registry::open(file);
    bool const added = registry && (*registry)->add(model("one"));
    ::_exit(added ? 0 : 1);  // without closing
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  ASSERT_TRUE(std::filesystem::exists(file.string() + "-wal"));
  EXPECT_FALSE(*set_aside_if_damaged(file));
  EXPECT_THAT(names_in(file), testing::ElementsAre("one"));
}

}  // namespace
}  // namespace homelab::registry
