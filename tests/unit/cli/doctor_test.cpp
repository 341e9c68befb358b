#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "cli/settings_locations.h"
#include "doctor/checks.h"
#include "support/temp_dir.h"

namespace homelab::cli::doctor {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

UtcTime at(std::string_view http_date) { return parse_http_date(http_date).value(); }

/// A healthy machine; each test spoils one thing.
class DoctorTest : public ::testing::Test {
 protected:
  DoctorTest() {
    fs::create_directories(dir_ / "one/hub");
    environment_["PRIMARY_CACHE_PATH"] = (dir_ / "one").string();
    environment_["SECONDARY_CACHE_PATH"] = (dir_ / "two").string();
    environment_["DATABASE_PATH"] = (dir_ / "models.db").string();
    environment_["HOME"] = dir_.path().string();
  }

  /// Runs one check on what was set up.
  Findings run(Findings (*check)(Machine const&)) {
    config::SettingsInput input;
    input.working_directory = dir_.path();
    input.environment = [this](std::string const& name) -> std::optional<std::string> {
      auto const found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    };
    auto const settings = config::Settings::load(std::move(input)).value();
    auto const locations = locations_of(settings);
    Machine machine{settings,
                    locations,
                    environment_,
                    places_.value_or(std::vector<Place>{place("primary", dir_ / "one"),
                                                        place("secondary", dir_ / "two")}),
                    cache::parse_mountinfo(mounts_),
                    {},
                    [this] { return now_; },
                    [this](std::string const&) { return hub_; },
                    [this](std::string const&, int) { return port_; },
                    [this] { return server_; },
                    [](cache::Path const&) -> Result<std::string> { return "{}"; },
                    [] { return false; }};
    machine.container = hints_;
    return check(machine);
  }

  static Place place(std::string name, fs::path const& root) {
    cache::LocationOptions location{root.string(), std::nullopt, 0, "environment"};
    if (name == "secondary") location.kind = cache::LocationKind::kSecondary;
    return {std::move(name), std::move(location), root.string(), cache::hub_folder_of_root(root),
            false};
  }

  static Severity worst(Findings const& findings) {
    Severity worst = Severity::kOk;
    for (auto const& finding : findings) worst = std::max(worst, finding.severity);
    return worst;
  }
  /// The one finding whose text holds `words`.
  static Finding with(Findings const& findings, std::string_view words) {
    for (auto const& finding : findings)
      if (finding.text.find(words) != std::string::npos) return finding;
    return {Severity::kOk, "nothing says: " + std::string(words)};
  }

  test::TempDir dir_;
  std::map<std::string, std::string> environment_;
  std::optional<std::vector<Place>> places_;
  std::string mounts_ = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n";
  cache::ContainerHints hints_;
  UtcTime now_ = at("Mon, 05 Oct 2026 10:00:00 GMT");
  Result<HubAnswer> hub_ = HubAnswer{200, "Mon, 05 Oct 2026 10:00:01 GMT"};
  PortUse port_ = PortUse::kFree;
  Status server_ = fail(Code::kUnavailable, "no server");
};

TEST_F(DoctorTest, HasNothingToSayAboutAHealthyMachine) {
  for (auto const& group : all_checks()) {
    // The engine is not beside this test, and the disk of the machine it runs on may be full.
    if (group.name == "engine" || group.name == "disks") continue;
    auto const findings = run(group.run);
    EXPECT_LE(worst(findings), Severity::kInfo) << group.name << ": " << findings.back().text;
  }
}

TEST_F(DoctorTest, NamesVariablesThatAreSetButEmpty) {
  environment_["HF_HOME"] = "";
  auto const found = with(run(check_settings), "HF_HOME is set but empty");
  EXPECT_EQ(found.severity, Severity::kWarning);
  EXPECT_EQ(found.mend, "unset HF_HOME");
  auto const all = run(check_settings);
  EXPECT_EQ(std::ranges::count_if(
                all, [](Finding const& each) { return each.text.starts_with("HF_HOME"); }),
            1)
      << "the settings' own warning says the same";
}

TEST_F(DoctorTest, NamesOldAndMisspeltVariables) {
  environment_["TRANSFORMERS_CACHE"] = "/x";
  environment_["HOMELAB_LLM_PROT"] = "1";
  environment_["HOMELAB_LLM_COMPLETELY_UNHEARD_OF"] = "1";
  environment_["HF_HUB_ETAG_TIMEOUT"] = "ten";
  auto const found = run(check_settings);
  EXPECT_THAT(with(found, "TRANSFORMERS_CACHE").mend, HasSubstr("HF_HOME"));
  EXPECT_EQ(with(found, "HOMELAB_LLM_PROT").mend, "write HOMELAB_LLM_PORT instead");
  EXPECT_EQ(with(found, "UNHEARD_OF").mend, "unset HOMELAB_LLM_COMPLETELY_UNHEARD_OF");
  EXPECT_THAT(with(found, "HF_HUB_ETAG_TIMEOUT").text, HasSubstr("cannot import"));
}

TEST_F(DoctorTest, TellsAPortThatIsTakenFromOneOfOurServer) {
  port_ = PortUse::kOurServer;
  server_ = {};
  EXPECT_EQ(worst(run(check_server)), Severity::kOk);
  port_ = PortUse::kSomethingElse;
  server_ = fail(Code::kUnavailable, "no server");
  auto const taken = with(run(check_server), "taken by another program");
  EXPECT_EQ(taken.severity, Severity::kError);
  EXPECT_EQ(taken.mend, "homelab-llm serve --port 8001");
}

TEST_F(DoctorTest, SeesThatTheRegistryIsNoDatabase) {
  dir_.write("models.db", std::string(200, 'x'));
  EXPECT_EQ(with(run(check_server), "no SQLite database").severity, Severity::kError);
  dir_.write("models.db", std::string("SQLite format 3\0", 16) + std::string(200, '\0'));
  EXPECT_EQ(worst(run(check_server)), Severity::kOk);
  fs::remove(dir_ / "models.db");
  environment_["DATABASE_PATH"] = "/proc/models.db";
  EXPECT_EQ(with(run(check_server), "cannot be used").severity, Severity::kError);
}

TEST_F(DoctorTest, SaysWhyALocationCannotBeUsed) {
  dir_.write("file", "x");
  places_ = {place("primary", dir_ / "file")};
  auto const found = run(check_locations);
  EXPECT_EQ(found.front().severity, Severity::kError);
  EXPECT_THAT(found.front().text, HasSubstr("not a folder"));
  places_ = {place("primary", dir_ / "one"), place("secondary", "/mnt/no-such-drive-here/x")};
  EXPECT_EQ(with(run(check_locations), "/mnt/no-such-drive-here does not exist").severity,
            Severity::kWarning);
}

TEST_F(DoctorTest, RecognisesARootThatIsAHubFolderAndTwoNamesOfOnePlace) {
  fs::create_directories(dir_ / "flat/models--org--name");
  fs::create_directory_symlink("one", dir_ / "other-name");
  places_ = {place("primary", dir_ / "flat")};
  EXPECT_THAT(with(run(check_locations), "itself a hub folder").mend, HasSubstr("cache bridge"));
  places_ = {place("primary", dir_ / "one/hub")};
  EXPECT_EQ(with(run(check_locations), "ends in hub").mend,
            "PRIMARY_CACHE_PATH=" + (dir_ / "one").string());
  places_ = {place("primary", dir_ / "one"), place("secondary", dir_ / "other-name")};
  EXPECT_EQ(with(run(check_locations), "are the same folder").severity, Severity::kWarning);
}

TEST_F(DoctorTest, RefusesTheContainersOwnLayerWithTheLinesToAdd) {
  mounts_ = "1 0 0:1 / / rw - overlay overlay rw\n";
  auto const found = with(run(check_container), "own layer");
  EXPECT_EQ(found.severity, Severity::kError);
  EXPECT_THAT(found.mend, HasSubstr("volumes:\n      - " + (dir_ / "one").string() + ":"));
  mounts_ +=
      "2 1 8:1 /home/x " + fs::canonical(dir_ / "one").string() + " rw - ext4 /dev/sda1 rw\n";
  places_ = {place("primary", dir_ / "one")};
  EXPECT_EQ(worst(run(check_container)), Severity::kInfo) << "only: probably a container";
}

TEST_F(DoctorTest, ComparesTheClockWithTheHubs) {
  EXPECT_LE(worst(run(check_hub)), Severity::kInfo);
  hub_ = HubAnswer{200, "Mon, 05 Oct 2026 10:30:00 GMT"};
  EXPECT_THAT(with(run(check_hub), "minutes away").text, HasSubstr("30 minutes"));
  now_ = at("Thu, 01 Jan 1970 00:00:10 GMT");
  EXPECT_EQ(with(run(check_hub), "the clock says 1970").severity, Severity::kError);
}

TEST_F(DoctorTest, NeverShowsATokenButWhereItIsFrom) {
  environment_["HF_TOKEN"] = "hf_secretsecret";
  for (auto const& finding : run(check_hub)) {
    EXPECT_THAT(finding.text, testing::Not(HasSubstr("hf_secret")));
    EXPECT_THAT(finding.mend, testing::Not(HasSubstr("hf_secret")));
  }
  EXPECT_THAT(with(run(check_hub), "a token is set").text, HasSubstr("environment"));
}

TEST_F(DoctorTest, TakesOfflineForAWishAndAnUnreachableHubForAWarning) {
  hub_ = fail(Code::kUnavailable, "no route");
  EXPECT_EQ(with(run(check_hub), "cannot be reached").severity, Severity::kWarning);
  environment_["HF_HUB_OFFLINE"] = "1";
  EXPECT_EQ(with(run(check_hub), "offline").severity, Severity::kInfo);
  EXPECT_LE(worst(run(check_hub)), Severity::kInfo);
}

TEST_F(DoctorTest, NamesWhatOthersCannotRead) {
  fs::create_directories(dir_ / "one/hub/models--a--b/trees");
  fs::create_directories(dir_ / "one/hub/.locks/models--a--b");
  ::chmod(dir_.write("one/hub/models--a--b/trees/c.json", "{}").c_str(), 0600);
  ::chmod(dir_.write("one/hub/.locks/models--a--b/x.lock", "").c_str(), 0644);
  auto const found = run(check_permissions);
  EXPECT_THAT(with(found, "listings that Python made").text, HasSubstr("c.json"));
  EXPECT_THAT(with(found, "lock files").mend, HasSubstr("chmod g+w"));
  EXPECT_EQ(worst(found), Severity::kInfo) << "one user alone is not harmed";
}

TEST_F(DoctorTest, CountsWhatIsBrokenAndWhatStandsTwice) {
  auto const commit = std::string(40, 'c');
  auto const blob = std::string(40, 'b');
  for (std::string const repo : {"one/hub/models--org--name", "one/models--org--name"}) {
    dir_.write(repo + "/blobs/" + blob, std::string(5000, 'x'));
    dir_.write(repo + "/refs/main", commit);
    fs::create_directories(dir_ / (repo + "/snapshots/" + commit));
    fs::create_symlink("../../blobs/" + blob, dir_ / (repo + "/snapshots/" + commit + "/a"));
  }
  fs::create_symlink("../../blobs/gone",
                     dir_ / ("one/hub/models--org--name/snapshots/" + commit + "/b"));
  auto const found = run(check_health);
  EXPECT_EQ(with(found, "leads to nothing").mend, "homelab-llm pull org/name");
  EXPECT_THAT(with(found, "stored twice").mend, HasSubstr("homelab-llm cache bridge --path"));
  EXPECT_EQ(worst(found), Severity::kWarning);
}

TEST(ShellWord, QuotesWhatAShellWouldChange) {
  EXPECT_EQ(shell_word("/a/b-c.d"), "/a/b-c.d");
  EXPECT_EQ(shell_word("/a b"), "'/a b'");
  EXPECT_EQ(shell_word("it's; rm -rf $HOME"), "'it'\\''s; rm -rf $HOME'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(HttpDate, IsReadInItsOneFormOnly) {
  EXPECT_EQ(to_iso_utc(at("Sun, 06 Nov 1994 08:49:37 GMT")), "1994-11-06T08:49:37.000Z");
  for (std::string_view const bad :
       {"", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 25:49:37 GMT", "Sun, 06 ovD 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, -6 Nov 1994 08:49:37 GMT"})
    EXPECT_EQ(parse_http_date(bad), std::nullopt) << bad;
}

TEST(NearestName, IsNearEnoughToBeMeantOrNone) {
  std::vector<std::string_view> const known{"HOMELAB_LLM_PORT", "HOMELAB_LLM_HOST"};
  EXPECT_EQ(nearest_name("HOMELAB_LLM_PROT", known), "HOMELAB_LLM_PORT");
  EXPECT_EQ(nearest_name("HOMELAB_LLM_HOSTS", known), "HOMELAB_LLM_HOST");
  EXPECT_EQ(nearest_name("HOMELAB_LLM_SOMETHING", known), std::nullopt);
  EXPECT_EQ(nearest_name(std::string(100'000, 'A'), known), std::nullopt);
}

TEST(Report, EndsWithOneLineThatSumsUp) {
  std::vector<GroupReport> groups{{"disks", {{Severity::kOk, "fine"}, {Severity::kInfo, "known"}}}};
  EXPECT_THAT(report_text(groups), testing::EndsWith("all is well (2 things looked at)\n"));
  EXPECT_TRUE(to_json(groups).at("ok").as_bool());
  groups.push_back({"hub", {{Severity::kError, "a\x1b[31mname", "first\nsecond"}}});
  auto const text = report_text(groups);
  EXPECT_THAT(text, HasSubstr("a?[31mname")) << "names from the disk cannot steer a terminal";
  EXPECT_THAT(text, HasSubstr("mend: first\n"));
  EXPECT_THAT(text, testing::EndsWith("1 error, 0 warnings\n"));
  EXPECT_FALSE(to_json(groups).at("ok").as_bool());
}

}  // namespace
}  // namespace homelab::cli::doctor
