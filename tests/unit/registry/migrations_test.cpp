#include "migrations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <fstream>
#include <iostream>

#include "base/log.h"
#include "original_database.h"
#include "registry/registry.h"
#include "support/temp_dir.h"

namespace homelab::registry {
namespace {

using ::homelab::test::slurp;
using ::homelab::test::TempDir;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> column_names(std::filesystem::path const& file, std::string const& table) {
  SQLite::Database database(file.string());
  SQLite::Statement query(database,
                          "SELECT name FROM pragma_table_info('" + table + "') ORDER BY cid");
  std::vector<std::string> names;
  while (query.executeStep()) names.push_back(query.getColumn(0).getString());
  return names;
}

std::string answer(std::filesystem::path const& file, std::string const& query) {
  SQLite::Database database(file.string(), SQLite::OPEN_READONLY, 5000);
  return database.execAndGet(query).getString();
}

std::vector<std::filesystem::path> files_like(TempDir const& folder, std::string const& part) {
  std::vector<std::filesystem::path> found;
  for (auto const& entry : std::filesystem::directory_iterator(folder.path()))
    if (entry.path().filename().string().find(part) != std::string::npos)
      found.push_back(entry.path());
  return found;
}

/// Opens and closes; true if it worked.
Status open_once(std::filesystem::path const& file) {
  auto const opened = Registry::open(file);
  if (!opened) return fail(opened.error());
  return {};
}

/// In a forked child.
[[noreturn]] void open_and_exit(std::filesystem::path const& file) {
  auto const opened = open_once(file);
  if (!opened) std::cerr << opened.error().message << std::endl;
  ::_exit(opened ? 0 : 1);
}

TEST(Migrations, AFreshFileHasTheOriginalsColumnsInItsOrder) {
  TempDir const folder;
  ASSERT_TRUE(open_once(folder / "fresh.db"));
  test::make_newest_original(folder / "original.db");
  for (std::string const table : {"modelregistry", "performancelog"}) {
    auto const fresh = column_names(folder / "fresh.db", table);
    auto const original = column_names(folder / "original.db", table);
    ASSERT_GE(fresh.size(), original.size()) << table;
    // Ours come behind them.
    EXPECT_TRUE(std::equal(original.begin(), original.end(), fresh.begin())) << table;
  }
  EXPECT_EQ(answer(folder / "fresh.db", "PRAGMA user_version"), std::to_string(newest_schema()));
  EXPECT_TRUE(files_like(folder, "fresh.db.backup").empty());
}

TEST(Migrations, TheNewestOriginalIsUpgradedInPlaceAndKeepsEveryRow) {
  TempDir const folder;
  test::CentralEurope const zone;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  auto const registry = Registry::open(file);
  ASSERT_TRUE(registry) << registry.error().message;
  auto const models = *(*registry)->list();
  ASSERT_EQ(models.size(), 2U);
  Model const& qwen = models[0];
  EXPECT_EQ(qwen.id, 1);
  EXPECT_EQ(qwen.model_name, "qwen-3b");
  EXPECT_EQ(qwen.cache_path, "/srv/hf-cache");
  EXPECT_EQ(qwen.model_size_mb, 5896.9);
  EXPECT_EQ(qwen.parameter_count, 3085938688);
  EXPECT_EQ(qwen.mmlu_score, 72.5);
  EXPECT_EQ(qwen.gpqa_score, std::nullopt);
  EXPECT_EQ(qwen.total_loads, 7);
  EXPECT_TRUE(qwen.update_available);
  EXPECT_EQ(qwen.load_config, R"({"torch_dtype":"float16"})");
  EXPECT_EQ(qwen.compatibility_status, "compatible");
  EXPECT_EQ(models[1].id, 3);
  EXPECT_EQ(models[1].compatibility_notes, "old remark");
  EXPECT_EQ((*registry)->recent_performance(1, 10)->size(), 1U);
  EXPECT_EQ(answer(file, "SELECT count(*) FROM performancelog"), "3");
  EXPECT_EQ(answer(file, "SELECT gpu_power_watts FROM performancelog WHERE id = 1"), "81.5");
}

TEST(Migrations, LocalTimesBecomeUtcOnce) {
  TempDir const folder;
  test::CentralEurope const zone;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  ASSERT_TRUE(open_once(file));
  ASSERT_TRUE(open_once(file));
  // Winter is one hour, summer two hours ahead of UTC; midnight crosses the date.
  EXPECT_EQ(answer(file, "SELECT created_at FROM modelregistry WHERE id = 1"),
            "2025-11-16 16:43:12.445678");
  EXPECT_EQ(answer(file, "SELECT last_updated FROM modelregistry WHERE id = 1"),
            "2025-07-01 10:00:00.000001");
  EXPECT_EQ(answer(file, "SELECT last_loaded FROM modelregistry WHERE id = 1"),
            "2025-11-17 00:00:00.000000");
  EXPECT_EQ(answer(file, "SELECT last_update_check IS NULL FROM modelregistry WHERE id = 1"), "1");
  EXPECT_EQ(answer(file, "SELECT timestamp FROM performancelog WHERE id = 1"),
            "2025-11-16 16:50:00.000000");
}

TEST(Migrations, TimesThatCannotBeReadStayAsTheyAre) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  SQLite::Database(file.string(), SQLite::OPEN_READWRITE)
      .exec("UPDATE modelregistry SET created_at = 'a while ago'");
  ASSERT_TRUE(open_once(file));
  EXPECT_EQ(answer(file, "SELECT created_at FROM modelregistry WHERE id = 1"), "a while ago");
}

TEST(Migrations, TheOldestOriginalGetsTheMissingColumnsWithTheirDefaults) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_oldest_original(file);
  auto const registry = Registry::open(file);
  ASSERT_TRUE(registry) << registry.error().message;
  auto const model = (*registry)->find("gemma");
  ASSERT_TRUE(model) << model.error().message;
  EXPECT_EQ(model->hf_path, "google/gemma-3-270m-it");
  EXPECT_EQ(model->cache_location, "primary");
  EXPECT_EQ(model->cache_path, std::nullopt);
  EXPECT_EQ(model->compatibility_status, "unknown");
  EXPECT_EQ(model->total_loads, 0);
  EXPECT_FALSE(model->update_available);
  EXPECT_TRUE((*registry)->find("phi")->trust_remote_code);
  auto const rows = *(*registry)->recent_performance(1, 10);
  ASSERT_EQ(rows.size(), 1U);
  EXPECT_EQ(rows[0].total_inference_ms, 100.5);
  EXPECT_TRUE(rows[0].do_sample);
  EXPECT_FALSE(rows[0].error_occurred);
  EXPECT_THAT(column_names(file, "modelregistry"), ::testing::UnorderedElementsAreArray([&] {
                TempDir const fresh;
                EXPECT_TRUE(open_once(fresh / "x.db"));
                return column_names(fresh / "x.db", "modelregistry");
              }()));
}

TEST(Migrations, TheBackupIsTheFileAsItWas) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  ASSERT_TRUE(open_once(file));
  auto const backups = files_like(folder, "models.db.backup-0-");
  ASSERT_EQ(backups.size(), 1U);
  EXPECT_EQ(answer(backups[0], "SELECT created_at FROM modelregistry WHERE id = 1"),
            "2025-11-16 17:43:12.445678");
  EXPECT_EQ(answer(backups[0], "SELECT count(*) FROM performancelog WHERE model_registry_id = 2"),
            "1");
  EXPECT_EQ(answer(backups[0], "PRAGMA user_version"), "0");
  ASSERT_TRUE(open_once(file));
  EXPECT_EQ(files_like(folder, "backup").size(), 1U) << "a second start has nothing to migrate";
}

TEST(Migrations, WithoutRoomForTheBackupNothingIsChanged) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  auto const before = slurp(file);
  pid_t const child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // A full disk, made with a limit on the size of files.
    std::signal(SIGXFSZ, SIG_IGN);
    rlimit const tiny{4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &tiny);
    auto const opened = open_once(file);
    bool const named = !opened && opened.error().message.find("backup-0-") != std::string::npos;
    ::_exit(named ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(slurp(file), before);
  EXPECT_TRUE(files_like(folder, "backup").empty());
}

TEST(Migrations, LinksToModelsThatAreGoneAreCleared) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  ASSERT_TRUE(open_once(file));
  EXPECT_EQ(answer(file, "SELECT model_registry_id IS NULL FROM performancelog WHERE id = 3"), "1");
  EXPECT_EQ(answer(file, "SELECT count(*) FROM pragma_foreign_key_check"), "0");
}

TEST(Migrations, NewIdsAreAboveTheOriginals) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  auto const registry = Registry::open(file);
  ASSERT_TRUE(registry);
  ASSERT_TRUE((*registry)->remove(3));
  EXPECT_EQ((*registry)->add({.model_name = "new", .hf_path = "a/b", .cache_path = {}})->id, 4);
}

TEST(Migrations, ADatabaseOfANewerVersionIsLeftAlone) {
  TempDir const folder;
  auto const file = folder / "models.db";
  ASSERT_TRUE(open_once(file));
  SQLite::Database(file.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 900");
  auto const before = slurp(file);
  auto const opened = open_once(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(opened.error().message, HasSubstr("900"));
  EXPECT_EQ(slurp(file), before);
}

TEST(Migrations, ADatabaseOfSomethingElseIsLeftAlone) {
  TempDir const folder;
  auto const file = folder / "other.db";
  test::make_database(file).exec("CREATE TABLE bookmarks (url TEXT)");
  auto const before = slurp(file);
  auto const opened = open_once(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kFailedPrecondition);
  EXPECT_THAT(opened.error().message, HasSubstr("bookmarks"));
  EXPECT_EQ(slurp(file), before);
}

TEST(Migrations, AFileThatIsNoDatabaseIsRefusedByNameAndNotTouched) {
  TempDir const folder;
  auto const file = folder.write("models.db", std::string(4096, 'x'));
  auto const opened = open_once(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kDataLoss);
  EXPECT_THAT(opened.error().message, HasSubstr(file.string()));
  EXPECT_EQ(slurp(file), std::string(4096, 'x'));
  EXPECT_EQ(files_like(folder, "models.db").size(), 1U);
}

TEST(Migrations, ADamagedOriginalIsRefusedAndNotTouched) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  {
    SQLite::Database database(file.string(), SQLite::OPEN_READWRITE);
    database.exec(
        "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
        "INSERT INTO performancelog (timestamp, input_tokens, output_tokens, total_tokens, "
        "total_inference_ms, do_sample, "
        "error_occurred) SELECT '2025-01-01 00:00:00.000000', i, i, i, i, 1, 0 FROM n");
  }
  auto damaged = slurp(file);
  ASSERT_GT(damaged.size(), 10U * 4096);
  damaged.replace(6 * 4096, 3 * 4096, std::string(3 * 4096, '\x5A'));
  std::ofstream(file, std::ios::binary) << damaged;
  auto const opened = open_once(file);
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kDataLoss) << opened.error().message;
  EXPECT_THAT(opened.error().message, HasSubstr(file.string()));
  EXPECT_EQ(slurp(file), damaged);
  EXPECT_TRUE(files_like(folder, "backup").empty());
}

TEST(Migrations, DamageFoundLaterIsAnErrorAndNoCrash) {
  TempDir const folder;
  auto const file = folder / "models.db";
  {
    auto const registry = *Registry::open(file);
    ASSERT_TRUE(registry->add({.model_name = "a", .hf_path = "a/b", .cache_path = {}}));
  }
  auto const root =
      std::stoul(answer(file, "SELECT rootpage FROM sqlite_master WHERE name = 'modelregistry'"));
  auto content = slurp(file);
  content.replace((root - 1) * 4096, 4096, std::string(4096, '\x5A'));
  std::ofstream(file, std::ios::binary) << content;
  auto const registry = Registry::open(file);
  ASSERT_TRUE(registry) << registry.error().message;
  EXPECT_EQ((*registry)->list().error().code, Code::kDataLoss);
  EXPECT_EQ((*registry)->add({.model_name = "b", .hf_path = "a/b", .cache_path = {}}).error().code,
            Code::kDataLoss);
}

TEST(Migrations, AMissingFolderIsNamed) {
  TempDir const folder;
  auto const opened = open_once(folder / "missing/models.db");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Code::kNotFound);
  EXPECT_THAT(opened.error().message, HasSubstr((folder / "missing").string()));
  EXPECT_THAT(opened.error().message, HasSubstr("DATABASE_PATH"));
}

TEST(Migrations, AFolderIsNoDatabase) {
  TempDir const folder;
  EXPECT_EQ(open_once(folder.path()).error().code, Code::kInvalidArgument);
}

/// Runs in a forked child: without root's rights, opens and ends with 0 if it is refused with a
/// message that says why.
[[noreturn]] void expect_permission_denied(std::filesystem::path const& file) {
  if (::geteuid() == 0 && ::setresuid(65534, 65534, 65534) != 0) ::_exit(10);
  auto const opened = open_once(file);
  if (opened) ::_exit(11);
  if (opened.error().code != Code::kPermissionDenied) ::_exit(12);
  if (opened.error().message.find(file.string()) == std::string::npos) ::_exit(13);
  ::_exit(0);
}

TEST(Migrations, AFolderThatCannotBeWrittenIsAClearError) {
  TempDir const folder;
  auto const locked = folder / "locked";
  std::filesystem::create_directory(locked);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(locked, std::filesystem::perms(0555));
  EXPECT_EXIT(expect_permission_denied(locked / "models.db"), ::testing::ExitedWithCode(0), "");
}

TEST(Migrations, AFileThatCanOnlyBeReadIsAClearError) {
  TempDir const folder;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  std::filesystem::permissions(folder.path(), std::filesystem::perms(0755));
  std::filesystem::permissions(file, std::filesystem::perms(0444));
  EXPECT_EXIT(expect_permission_denied(file), ::testing::ExitedWithCode(0), "");
}

TEST(Migrations, ProcessesThatOpenOneOldFileAtOnceMigrateItOnce) {
  TempDir const folder;
  test::CentralEurope const zone;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    pid_t const child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) open_and_exit(file);
    children.push_back(child);
  }
  for (pid_t const child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_EQ(files_like(folder, "backup").size(), 1U);
  EXPECT_EQ(answer(file, "SELECT created_at FROM modelregistry WHERE id = 1"),
            "2025-11-16 16:43:12.445678");
  EXPECT_EQ(answer(file, "PRAGMA user_version"), std::to_string(newest_schema()));
}

TEST(Migrations, ProcessesThatMakeOneNewFileAtOnceAllSucceed) {
  TempDir const folder;
  auto const file = folder / "models.db";
  std::vector<pid_t> children;
  for (int i = 0; i < 6; ++i) {
    pid_t const child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) open_and_exit(file);
    children.push_back(child);
  }
  for (pid_t const child : children) {
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  }
  EXPECT_TRUE(files_like(folder, "backup").empty());
  EXPECT_EQ(answer(file, "PRAGMA quick_check"), "ok");
}

TEST(Migrations, AHalfMigratedFileIsFinishedAtTheNextStart) {
  TempDir const folder;
  test::CentralEurope const zone;
  auto const file = folder / "models.db";
  test::make_newest_original(file);
  // A crash after the second of the migrations: the times are still local then.
  SQLite::Database(file.string(), SQLite::OPEN_READWRITE).exec("PRAGMA user_version = 2");
  ASSERT_TRUE(open_once(file));
  EXPECT_EQ(answer(file, "SELECT created_at FROM modelregistry WHERE id = 1"),
            "2025-11-16 16:43:12.445678");
  EXPECT_EQ(files_like(folder, "models.db.backup-2-").size(), 1U);
}

}  // namespace
}  // namespace homelab::registry
