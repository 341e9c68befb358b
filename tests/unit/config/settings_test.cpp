#include "config/settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <set>

#include "support/temp_dir.h"

namespace homelab::config {
namespace {

using ::homelab::test::slurp;
using ::homelab::test::TempDir;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class SettingsTest : public ::testing::Test {
 protected:
  Result<Settings> load() {
    SettingsInput input;
    input.flags = flags_;
    input.environment = [this](std::string const& name) -> std::optional<std::string> {
      auto const found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
    input.dotenv_file = env_file_;
    input.working_directory = folder_.path();
    return Settings::load(std::move(input));
  }
  Settings good() {
    auto settings = load();
    EXPECT_TRUE(settings) << settings.error().message;
    return settings ? *std::move(settings) : Settings{};
  }
  std::string error() {
    auto const settings = load();
    EXPECT_FALSE(settings) << "was accepted";
    return settings ? "" : settings.error().message;
  }
  void dotenv(std::string_view text) { folder_.write(".env", text); }
  [[nodiscard]] std::string here(std::string_view name) const { return (folder_ / name).string(); }

  TempDir folder_;
  std::map<std::string, std::string> flags_;
  std::map<std::string, std::string> environment_{{"HOME", "/home/dev"}};
  std::optional<std::filesystem::path> env_file_;
};

TEST_F(SettingsTest, DefaultsAreTheOriginals) {
  auto const settings = good();
  EXPECT_EQ(settings.host(), "127.0.0.1");
  EXPECT_EQ(settings.port(), 8000);
  EXPECT_FALSE(settings.allow_remote());
  EXPECT_EQ(settings.database_path(), here("models.db"));
  EXPECT_EQ(settings.primary_root().text, "/home/dev/.cache/huggingface");
  EXPECT_EQ(settings.primary_root().origin.to_string(), "default");
  EXPECT_EQ(settings.secondary_root().text, "/mnt/z/llm-models-cache");
  EXPECT_EQ(settings.primary_limit_gb(), 100);
  EXPECT_EQ(settings.secondary_limit_gb(), 2000);
  EXPECT_EQ(settings.warning_threshold(), 0.9);
  EXPECT_EQ(settings.hub_endpoint(), "https://huggingface.co");
  EXPECT_EQ(settings.hub_token(), std::nullopt);
  EXPECT_EQ(settings.explicit_hub_folder(), std::nullopt);
  EXPECT_FALSE(settings.offline());
  EXPECT_FALSE(settings.symlinks_disabled());
  EXPECT_EQ(settings.engine_program(), std::nullopt);
  EXPECT_EQ(settings.engine_threads(), 0);
  EXPECT_EQ(settings.context_tokens(), 0);
  EXPECT_EQ(settings.slots(), 4);
  EXPECT_EQ(settings.gpu_layers(), std::nullopt);
  EXPECT_EQ(settings.max_loaded(), 3);
  EXPECT_EQ(settings.idle_unload(), std::chrono::seconds(0));
  EXPECT_EQ(settings.log_level(), "info");
  EXPECT_THAT(settings.warnings(), IsEmpty());
}

TEST_F(SettingsTest, NothingIsMadeOnDiskByLoading) {
  environment_["SECONDARY_CACHE_PATH"] = here("second");
  environment_["PRIMARY_CACHE_PATH"] = here("first");
  good();
  EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
}

TEST_F(SettingsTest, FlagsWinOverTheEnvironmentOverTheFileOverTheDefault) {
  dotenv("HOMELAB_LLM_PORT=1003\n\nDATABASE_PATH=/file.db\nPRIMARY_CACHE_LIMIT_GB=3\n");
  environment_["HOMELAB_LLM_PORT"] = "1002";
  environment_["DATABASE_PATH"] = "/environment.db";
  flags_["HOMELAB_LLM_PORT"] = "1001";
  auto const settings = good();
  EXPECT_EQ(settings.port(), 1001);
  EXPECT_EQ(settings.find("HOMELAB_LLM_PORT")->origin.to_string(), "flag --port");
  EXPECT_EQ(settings.database_path(), "/environment.db");
  EXPECT_EQ(settings.find("DATABASE_PATH")->origin.to_string(), "environment");
  EXPECT_EQ(settings.primary_limit_gb(), 3);
  EXPECT_EQ(settings.find("PRIMARY_CACHE_LIMIT_GB")->origin.to_string(),
            ".env line 4 (" + here(".env") + ")");
  EXPECT_EQ(settings.find("SECONDARY_CACHE_LIMIT_GB")->origin.to_string(), "default");
  EXPECT_EQ(settings.find("HF_HOME"), std::nullopt);
  EXPECT_EQ(settings.text("HF_HOME"), "");
}

TEST_F(SettingsTest, TheMissionsFileWorksAsItStands) {
  dotenv("PRIMARY_CACHE_PATH=/home/jare16/LLM/hf-cache\n");
  auto const settings = good();
  EXPECT_EQ(settings.primary_root().text, "/home/jare16/LLM/hf-cache");
  EXPECT_EQ(settings.primary_root().origin.source, Source::kDotenv);
  EXPECT_THAT(settings.warnings(), IsEmpty());
}

TEST_F(SettingsTest, AnotherFileCanBeNamedAndMustExist) {
  dotenv("HOMELAB_LLM_PORT=1\n");
  folder_.write("other.env", "HOMELAB_LLM_PORT=2\n");
  env_file_ = "other.env";
  EXPECT_EQ(good().port(), 2);
  env_file_ = "missing.env";
  EXPECT_THAT(error(), AllOf(HasSubstr(here("missing.env")), HasSubstr(".env")));
}

TEST_F(SettingsTest, ABrokenFileIsNamedWithItsLine) {
  dotenv("A=1\nB=\"open\n");
  EXPECT_THAT(error(), AllOf(HasSubstr(here(".env")), HasSubstr("line 2")));
}

TEST_F(SettingsTest, AFolderNamedDotenvIsReportedAndPassedOver) {
  std::filesystem::create_directory(folder_ / ".env");
  EXPECT_THAT(good().warnings(), ElementsAre(HasSubstr("is a folder")));
}

TEST_F(SettingsTest, ThePrimaryRootIsTheUsersTextLetterByLetter) {
  environment_["PRIMARY_CACHE_PATH"] = "/srv/../srv//hf cache/";
  EXPECT_EQ(good().primary_root().text, "/srv/../srv//hf cache/");
}

TEST_F(SettingsTest, ThePrimaryRootFallsBackAsTheHubsClientDoes) {
  environment_["XDG_CACHE_HOME"] = "/xdg";
  EXPECT_EQ(good().primary_root().text, "/xdg/huggingface");
  EXPECT_EQ(good().primary_root().origin.to_string(), "environment, XDG_CACHE_HOME");
  environment_["HF_HOME"] = "~/hf/$WHO";
  environment_["WHO"] = "me";
  EXPECT_EQ(good().primary_root().text, "/home/dev/hf/me");
  EXPECT_EQ(good().primary_root().origin.to_string(), "environment, HF_HOME");
  environment_["PRIMARY_CACHE_PATH"] = "~/mine";
  EXPECT_EQ(good().primary_root().text, "/home/dev/mine");
  EXPECT_EQ(good().primary_root().origin.to_string(), "environment");
}

TEST_F(SettingsTest, AnExplicitHubFolderCountsOnlyWithoutPrimaryCachePath) {
  environment_["HUGGINGFACE_HUB_CACHE"] = "/old/hub";
  EXPECT_EQ(good().explicit_hub_folder()->text, "/old/hub");
  environment_["HF_HUB_CACHE"] = "~/new/${WHO}hub";
  EXPECT_EQ(good().explicit_hub_folder()->text, "/home/dev/new/${WHO}hub")
      << "Python keeps unset names";
  EXPECT_EQ(good().explicit_hub_folder()->origin.to_string(), "environment, HF_HUB_CACHE");
  environment_["PRIMARY_CACHE_PATH"] = "/srv";
  EXPECT_EQ(good().explicit_hub_folder(), std::nullopt);
}

TEST_F(SettingsTest, WarnsWhenPythonScriptsWouldUseAnotherCache) {
  environment_["PRIMARY_CACHE_PATH"] = here("cache");
  environment_["HF_HOME"] = "/elsewhere";
  EXPECT_THAT(good().warnings(),
              ElementsAre(AllOf(HasSubstr("HF_HOME"), HasSubstr("/elsewhere/hub"),
                                HasSubstr(here("cache/hub")))));
  environment_["HF_HUB_CACHE"] = here("cache/hub/");
  EXPECT_THAT(good().warnings(), IsEmpty()) << "HF_HUB_CACHE decides for Python, and it agrees";
  environment_.erase("HF_HUB_CACHE");
  environment_["HF_HOME"] = here("cache");
  EXPECT_THAT(good().warnings(), IsEmpty());
  std::filesystem::create_directories(folder_ / "cache/hub");
  std::filesystem::create_symlink("cache", folder_ / "other name");
  environment_["HF_HOME"] = here("other name");
  EXPECT_THAT(good().warnings(), IsEmpty()) << "two names of one folder";
}

TEST_F(SettingsTest, WithoutHomeTheUserDatabaseTells) {
  environment_.erase("HOME");
  auto const root = good().primary_root().text;
  EXPECT_THAT(root, ::testing::EndsWith("/.cache/huggingface"));
  EXPECT_THAT(root, ::testing::StartsWith("/"));
}

TEST_F(SettingsTest, AnEmptyVariableCountsAsUnsetAndIsWarnedOfLoudly) {
  struct Case {
    char const* name;
    char const* python;
  };
  for (auto const& [name, python] :
       {Case{"HF_HOME", "'hub' in the working directory"},
        Case{"HF_HUB_CACHE", "working directory itself"}, Case{"XDG_CACHE_HOME", "huggingface/hub"},
        Case{"HF_ENDPOINT", "empty address"}}) {
    environment_ = {{"HOME", "/home/dev"}, {name, ""}};
    auto const settings = good();
    EXPECT_THAT(settings.warnings(),
                ElementsAre(AllOf(HasSubstr(name), HasSubstr("empty"), HasSubstr(python))))
        << name;
    EXPECT_EQ(settings.primary_root().text, "/home/dev/.cache/huggingface");
    EXPECT_EQ(settings.explicit_hub_folder(), std::nullopt);
    EXPECT_EQ(settings.hub_endpoint(), "https://huggingface.co");
  }
}

TEST_F(SettingsTest, AnEmptyVariableLetsTheFileSpeak) {
  environment_["PRIMARY_CACHE_PATH"] = "";
  dotenv("PRIMARY_CACHE_PATH=/from/file\n");
  auto const settings = good();
  EXPECT_EQ(settings.primary_root().text, "/from/file");
  EXPECT_THAT(settings.warnings(),
              ElementsAre(AllOf(HasSubstr("PRIMARY_CACHE_PATH"), HasSubstr("line 1"))));
}

TEST_F(SettingsTest, AnEmptyTokenMeansNoTokenWithoutFuss) {
  environment_["HF_TOKEN"] = "";
  EXPECT_THAT(good().warnings(), IsEmpty());
  EXPECT_EQ(good().hub_token(), std::nullopt);
}

TEST_F(SettingsTest, RelativePathsAreMadeAbsoluteAndWarnedOf) {
  environment_["PRIMARY_CACHE_PATH"] = "hf-cache";
  auto const settings = good();
  EXPECT_EQ(settings.primary_root().text, here("hf-cache"));
  EXPECT_THAT(settings.warnings(),
              ElementsAre(AllOf(HasSubstr("relative"), HasSubstr(here("hf-cache")))));
}

TEST_F(SettingsTest, ATildeInTheFileIsExpandedAndWarnedOf) {
  dotenv("PRIMARY_CACHE_PATH=~/hf\n");
  auto const settings = good();
  EXPECT_EQ(settings.primary_root().text, "/home/dev/hf");
  EXPECT_THAT(settings.warnings(), ElementsAre(HasSubstr("compose keeps it")));
  dotenv("");
  environment_["PRIMARY_CACHE_PATH"] = "~/hf";
  EXPECT_THAT(good().warnings(), IsEmpty());
}

TEST_F(SettingsTest, AnUnknownUserAfterATildeStaysAsItStands) {
  environment_["PRIMARY_CACHE_PATH"] = "~root/x";
  EXPECT_EQ(good().primary_root().text, "/root/x");
  environment_["PRIMARY_CACHE_PATH"] = "~no-such-user-here/x";
  EXPECT_EQ(good().primary_root().text, here("~no-such-user-here/x"));
}

struct Bad {
  char const* name;
  char const* value;
  char const* expected;
};

std::string good_value(std::string_view name) {
  if (name == "HF_ENDPOINT") return "http://localhost:1";
  if (name == "HOMELAB_LLM_ALLOW_REMOTE") return "no";
  if (name == "HOMELAB_LLM_LOG_LEVEL") return "warn";
  if (name == "HOMELAB_LLM_HOST") return "::1";
  return "1";
}

class BadValue : public SettingsTest, public ::testing::WithParamInterface<Bad> {};

TEST_P(BadValue, IsAnErrorWithNameValueOriginAndExpectation) {
  auto const [name, value, expected] = GetParam();
  environment_[name] = value;
  EXPECT_THAT(error(), AllOf(HasSubstr(name), HasSubstr("'" + std::string(value) + "'"),
                             HasSubstr("(from environment)"), HasSubstr(expected)));
  environment_.erase(name);
  dotenv("\n" + std::string(name) + "=" + value + "\n");
  EXPECT_THAT(error(), HasSubstr(".env line 2"));
  environment_[name] = good_value(name);
  EXPECT_TRUE(load()) << "a bad line that the environment overrides does no harm";
}

INSTANTIATE_TEST_SUITE_P(
    All, BadValue,
    ::testing::Values(
        Bad{"PRIMARY_CACHE_LIMIT_GB", "abc", "above 0"},
        Bad{"PRIMARY_CACHE_LIMIT_GB", "0", "above 0"},
        Bad{"PRIMARY_CACHE_LIMIT_GB", "-5", "above 0"},
        Bad{"SECONDARY_CACHE_LIMIT_GB", "nan", "above 0"},
        Bad{"SECONDARY_CACHE_LIMIT_GB", "inf", "above 0"},
        Bad{"CACHE_WARNING_THRESHOLD", "90", "at most 1"},
        Bad{"CACHE_WARNING_THRESHOLD", "0", "at most 1"}, Bad{"HOMELAB_LLM_PORT", "65536", "65535"},
        Bad{"HOMELAB_LLM_PORT", "-1", "65535"}, Bad{"HOMELAB_LLM_PORT", "80x", "65535"},
        Bad{"HOMELAB_LLM_ALLOW_REMOTE", "maybe", "true or false"},
        Bad{"HOMELAB_LLM_HOST", "a b", "IP address"},
        Bad{"HF_ENDPOINT", "huggingface.co", "http://"}, Bad{"HF_ENDPOINT", "ftp://x", "http://"},
        Bad{"HF_ENDPOINT", "https://", "http://"}, Bad{"HOMELAB_LLM_THREADS", "2.5", "1024"},
        Bad{"HOMELAB_LLM_CONTEXT", "-1", "tokens"}, Bad{"HOMELAB_LLM_SLOTS", "0", "from 1"},
        Bad{"HOMELAB_LLM_GPU_LAYERS", "many", "auto"}, Bad{"HOMELAB_LLM_MAX_LOADED", "0", "from 1"},
        Bad{"HOMELAB_LLM_IDLE_UNLOAD_S", "soon", "seconds"},
        Bad{"HOMELAB_LLM_TRASH_HOURS", "-1", "hours"},
        Bad{"HOMELAB_LLM_PING_MS", "600001", "milliseconds"},
        Bad{"HOMELAB_LLM_LOG_LEVEL", "loud", "debug"}));

TEST_F(SettingsTest, GoodNumbersAreRead) {
  environment_["PRIMARY_CACHE_LIMIT_GB"] = " 0.5 ";
  environment_["CACHE_WARNING_THRESHOLD"] = "1";
  environment_["HOMELAB_LLM_PORT"] = "0";
  environment_["HOMELAB_LLM_GPU_LAYERS"] = "12";
  environment_["HOMELAB_LLM_IDLE_UNLOAD_S"] = "300";
  environment_["HOMELAB_LLM_PING_MS"] = "250";
  environment_["HOMELAB_LLM_LOG_LEVEL"] = "DEBUG";
  environment_["HOMELAB_LLM_ENGINE"] = "bin/engine";
  auto const settings = good();
  EXPECT_EQ(settings.primary_limit_gb(), 0.5);
  EXPECT_EQ(settings.warning_threshold(), 1);
  EXPECT_EQ(settings.port(), 0);
  EXPECT_EQ(settings.gpu_layers(), 12);
  EXPECT_EQ(settings.idle_unload(), std::chrono::minutes(5));
  EXPECT_EQ(settings.text("HOMELAB_LLM_PING_MS"), "250");
  EXPECT_EQ(settings.log_level(), "debug");
  EXPECT_EQ(settings.engine_program(), here("bin/engine"));
}

TEST_F(SettingsTest, ListeningForOtherMachinesNeedsTheExplicitSwitch) {
  for (auto const* host :
       {"0.0.0.0", "::", "[::]", "192.168.1.5", "myhost", "128.0.0.1", "::ffff:10.0.0.1"}) {
    environment_["HOMELAB_LLM_HOST"] = host;
    environment_.erase("HOMELAB_LLM_ALLOW_REMOTE");
    EXPECT_THAT(error(),
                AllOf(HasSubstr("--allow-remote"), HasSubstr("API key"), HasSubstr("environment")))
        << host;
    environment_["HOMELAB_LLM_ALLOW_REMOTE"] = "yes";
    EXPECT_TRUE(good().allow_remote()) << host;
  }
}

TEST_F(SettingsTest, LoopbackAddressesNeedNoSwitch) {
  for (auto const* host :
       {"127.0.0.1", "127.9.9.9", "localhost", "LOCALHOST", "::1", "[::1]", "::ffff:127.0.0.1"}) {
    environment_["HOMELAB_LLM_HOST"] = host;
    EXPECT_THAT(good().host(), Not(HasSubstr("["))) << host;
  }
}

TEST_F(SettingsTest, TokensComeInTheClientsOrder) {
  environment_["HF_HOME"] = here("hf");
  folder_.write("hf/token", "  hf_file\r\n");
  EXPECT_EQ(good().hub_token(), "hf_file");
  folder_.write("secret", "hf_path\n");
  environment_["HF_TOKEN_PATH"] = here("secret");
  EXPECT_EQ(good().hub_token(), "hf_path");
  environment_["HUGGING_FACE_HUB_TOKEN"] = "hf_old";
  EXPECT_EQ(good().hub_token(), "hf_old");
  environment_["HF_TOKEN"] = " hf_new\n";
  EXPECT_EQ(good().hub_token(), "hf_new");
  environment_["HF_TOKEN"] = " \n";
  EXPECT_EQ(good().hub_token(), "hf_old") << "only blanks are no token";
}

TEST_F(SettingsTest, ATokenFileWithoutATokenIsWarnedOf) {
  environment_["HF_TOKEN_PATH"] = here("missing");
  EXPECT_THAT(good().warnings(),
              ElementsAre(AllOf(HasSubstr("HF_TOKEN_PATH"), HasSubstr(here("missing")))));
  folder_.write("missing", "two words");
  EXPECT_EQ(good().hub_token(), std::nullopt);
}

TEST_F(SettingsTest, SecretsAreNeverShown) {
  environment_["HF_TOKEN"] = "hf_secret";
  environment_["HF_ENDPOINT"] = "https://user:hf_secret@mirror.example/x";
  for (auto const& row : good().explain())
    EXPECT_THAT(row.shown + row.origin, Not(HasSubstr("hf_secret")));
  EXPECT_EQ(good().hub_endpoint(), "https://user:hf_secret@mirror.example/x");
  environment_["HF_ENDPOINT"] = "https://user:hf_secret@mirror.example/x?y";
  EXPECT_THAT(error(), Not(HasSubstr("hf_secret")));
  environment_["HF_ENDPOINT"] = "https://mirror.example";
  environment_["HF_TOKEN"] = "hf_secret with blanks";
  EXPECT_THAT(error(), AllOf(HasSubstr("HF_TOKEN"), Not(HasSubstr("hf_secret"))));
}

TEST_F(SettingsTest, OfflineIsReadAsTheClientReadsIt) {
  struct Case {
    char const* hub;
    char const* transformers;
    bool offline;
  };
  for (auto const& [hub, transformers, offline] :
       {Case{"1", "", true}, Case{"yes", "", true}, Case{"True", "", true}, Case{"ON", "", true},
        Case{"0", "1", false}, Case{"", "1", true}, Case{"2", "", false}, Case{"y", "", false},
        Case{"", "", false}}) {
    environment_["HF_HUB_OFFLINE"] = hub;
    environment_["TRANSFORMERS_OFFLINE"] = transformers;
    EXPECT_EQ(good().offline(), offline) << hub << "/" << transformers;
  }
  environment_["HF_HUB_OFFLINE"] = "y";
  EXPECT_THAT(good().warnings(),
              Contains(AllOf(HasSubstr("HF_HUB_OFFLINE"), HasSubstr("counts as false"))));
}

TEST_F(SettingsTest, TheEndpointLosesItsTrailingSlashes) {
  environment_["HF_ENDPOINT"] = " http://127.0.0.1:8000/hub// ";
  EXPECT_EQ(good().hub_endpoint(), "http://127.0.0.1:8000/hub");
}

TEST_F(SettingsTest, FlagsWithoutValueOrUnknownAreRefused) {
  flags_["HOMELAB_LLM_HOST"] = "";
  EXPECT_THAT(error(), HasSubstr("--host"));
  flags_ = {{"NO_SUCH", "1"}};
  EXPECT_THAT(error(), HasSubstr("NO_SUCH"));
}

TEST_F(SettingsTest, AMisspeltNameOfOursInTheFileIsWarnedOf) {
  dotenv("COMPOSE_FILE=x\nHOMELAB_LLM_PROT=1\n");
  EXPECT_THAT(good().warnings(),
              ElementsAre(AllOf(HasSubstr("line 2"), HasSubstr("HOMELAB_LLM_PROT"))));
}

TEST_F(SettingsTest, ValuesWithControlCharactersOrOfAbsurdLengthAreRefused) {
  environment_["PRIMARY_CACHE_PATH"] = "/srv\n/x";
  EXPECT_THAT(error(),
              AllOf(HasSubstr("PRIMARY_CACHE_PATH"), HasSubstr("control"), Not(HasSubstr("\n"))));
  environment_["PRIMARY_CACHE_PATH"] = "/" + std::string(5000, 'x');
  EXPECT_THAT(error(), HasSubstr("4096"));
}

TEST_F(SettingsTest, ExplainShowsEveryRowInTheTablesOrderWithEffectiveRoots) {
  environment_["HF_HOME"] = "~/hf";
  environment_["HF_TOKEN"] = "hf_x";
  auto const rows = good().explain();
  ASSERT_EQ(rows.size(), settings_table().size());
  std::map<std::string_view, std::pair<std::string, std::string>> shown;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    EXPECT_EQ(rows[i].setting, &settings_table()[i]);
    shown[rows[i].setting->name] = {rows[i].shown, rows[i].origin};
  }
  EXPECT_EQ(shown["PRIMARY_CACHE_PATH"],
            std::pair(std::string("/home/dev/hf"), std::string("environment, HF_HOME")));
  EXPECT_EQ(shown["DATABASE_PATH"], std::pair(here("models.db"), std::string("default")));
  EXPECT_EQ(shown["HF_TOKEN"], std::pair(std::string("(set)"), std::string("environment")));
  EXPECT_EQ(shown["HF_HUB_CACHE"], std::pair(std::string("(not set)"), std::string("default")));
}

TEST_F(SettingsTest, SettingsOutliveTheirInput) {
  Settings settings;
  {
    std::map<std::string, std::string> const gone{{"HOME", "/h"}, {"HF_HOME", "/x/$Y"}, {"Y", "y"}};
    SettingsInput input;
    input.environment = [gone](std::string const& name) -> std::optional<std::string> {
      auto const found = gone.find(name);
      return found == gone.end() ? std::nullopt : std::optional<std::string>(found->second);
    };
    input.working_directory = "/";
    settings = *Settings::load(std::move(input));
  }
  EXPECT_EQ(settings.primary_root().text, "/x/y");
}

TEST(SettingsTable, NamesAndFlagsAreUnique) {
  std::set<std::string_view> seen;
  for (Setting const& row : settings_table()) {
    EXPECT_TRUE(seen.insert(row.name).second) << row.name;
    EXPECT_TRUE(row.flag.empty() || seen.insert(row.flag).second) << row.flag;
    EXPECT_FALSE(row.meaning.empty()) << row.name;
  }
}

// Rewrite the page after a change of the table: HOMELAB_ACCEPT=1 config_test
// --gtest_filter='SettingsPage.*'
TEST(SettingsPage, IsMadeFromTheTable) {
  std::filesystem::path const page = std::filesystem::path(HOMELAB_SOURCE_DIR) / "docs/settings.md";
  if (std::getenv("HOMELAB_ACCEPT") != nullptr)
    std::ofstream(page, std::ios::binary) << settings_page();
  EXPECT_EQ(slurp(page), settings_page());
}

TEST_F(SettingsTest, CustomRootsAreAListWithOrWithoutQuotas) {
  environment_["CUSTOM_CACHE_PATHS"] = "/mnt/a : /mnt/b=500:~/c=0.5:/mnt/x=y";
  auto const roots = good().custom_roots();
  ASSERT_EQ(roots.size(), 4U);
  EXPECT_EQ(roots[0].path, "/mnt/a");
  EXPECT_EQ(roots[0].limit_gb, 0);
  EXPECT_EQ(roots[1].path, "/mnt/b");
  EXPECT_EQ(roots[1].limit_gb, 500);
  EXPECT_EQ(roots[2].path, "/home/dev/c");
  EXPECT_EQ(roots[2].limit_gb, 0.5);
  EXPECT_EQ(roots[3].path, "/mnt/x=y") << "only a number is a quota";
}

TEST_F(SettingsTest, ACustomRootThatIsNoPathIsRefused) {
  for (std::string const bad : {"models", "/mnt/a:", ":/mnt/a", "/mnt/a::/mnt/b", "=5"}) {
    environment_["CUSTOM_CACHE_PATHS"] = bad;
    EXPECT_THAT(error(), AllOf(HasSubstr("CUSTOM_CACHE_PATHS"), HasSubstr("absolute paths")))
        << bad;
  }
}

TEST_F(SettingsTest, ThePathMapIsPairsOfAbsolutePaths) {
  EXPECT_TRUE(good().path_map().empty());
  environment_["CACHE_PATH_MAP"] = "/home/me/hf=/cache : /mnt/a=/b";
  auto const map = good().path_map();
  ASSERT_EQ(map.size(), 2U);
  EXPECT_EQ(map[0].host, "/home/me/hf");
  EXPECT_EQ(map[0].here, "/cache");
  EXPECT_EQ(map[1].here, "/b");
  for (std::string const bad : {"/a", "/a=b", "a=/b", "/a=/b:", "="}) {
    environment_["CACHE_PATH_MAP"] = bad;
    EXPECT_THAT(error(), HasSubstr("CACHE_PATH_MAP")) << bad;
  }
}

TEST_F(SettingsTest, TheReserveMayBeNothingButNotLess) {
  EXPECT_EQ(good().reserve_gb(), 1);
  environment_["CACHE_RESERVE_GB"] = "0";
  EXPECT_EQ(good().reserve_gb(), 0);
  environment_["CACHE_RESERVE_GB"] = "-1";
  EXPECT_THAT(error(), HasSubstr("CACHE_RESERVE_GB"));
}

}  // namespace
}  // namespace homelab::config
