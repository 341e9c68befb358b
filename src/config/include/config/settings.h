#pragma once
// All settings of the program in one table: name, default, meaning. Each value remembers where it
// came from.
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "config/dotenv.h"

namespace homelab::config {

enum class Source { kDefault, kDotenv, kEnvironment, kFlag };

/// Where a value came from: "flag --port", "environment", ".env line 3 (/srv/llm/.env)", "default".
struct Origin {
  Source source = Source::kDefault;
  std::string detail;
  [[nodiscard]] std::string to_string() const;
};

struct Value {
  std::string text;
  Origin origin;
};

/// One row of the settings table.
struct Setting {
  std::string_view name;      ///< environment name, for example "PRIMARY_CACHE_PATH"
  std::string_view flag;      ///< "--port", or empty
  std::string_view fallback;  ///< default text; empty = none
  std::string_view meaning;   ///< one sentence for --help and docs
  bool secret = false;        ///< never shown
};
/// The whole table, in the order in which it is explained.
[[nodiscard]] std::span<Setting const> settings_table();

struct SettingsInput {
  std::map<std::string, std::string> flags;  ///< by setting name
  Lookup environment;                        ///< getenv by default
  /// The file to read; must exist if given. nullopt: ".env" in the working directory, if there is
  /// one.
  std::optional<std::filesystem::path> dotenv_file;
  std::filesystem::path working_directory;  ///< empty = the process's
};

/// Effective settings. Immutable after load; share by const reference between threads.
class Settings {
 public:
  /// Precedence: flag, environment, .env, default. Errors name the setting, its value, its origin
  /// and what is expected.
  [[nodiscard]] static Result<Settings> load(SettingsInput input);

  /// Value of a row of the table that is set or has a default; nullopt = unset.
  [[nodiscard]] std::optional<Value> find(std::string_view name) const;
  [[nodiscard]] std::string text(std::string_view name) const;  ///< "" when unset

  // Typed, already validated by load():
  [[nodiscard]] std::string host() const;
  [[nodiscard]] int port() const;
  [[nodiscard]] bool allow_remote() const;
  /// Names under which the server may be called, besides its own.
  [[nodiscard]] std::vector<std::string> allowed_hosts() const;
  [[nodiscard]] std::vector<std::string> cors_origins() const;  ///< empty = this machine's pages
  [[nodiscard]] std::filesystem::path database_path() const;
  /// The user's text for the primary root with `~` expanded, absolute: PRIMARY_CACHE_PATH, else
  /// HF_HOME, else XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface (design §3).
  [[nodiscard]] Value primary_root() const;
  [[nodiscard]] Value secondary_root() const;
  [[nodiscard]] double primary_limit_gb() const;
  [[nodiscard]] double secondary_limit_gb() const;
  [[nodiscard]] double warning_threshold() const;
  /// CUSTOM_CACHE_PATHS, in its order.
  struct CustomRoot {
    std::string path;  ///< as primary_root()
    double limit_gb;   ///< 0 = none
    Origin origin;
  };
  [[nodiscard]] std::vector<CustomRoot> custom_roots() const;
  /// CACHE_PATH_MAP: what the host calls `host` is `here`. Both absolute.
  struct PathPair {
    std::string host;
    std::string here;
  };
  [[nodiscard]] std::vector<PathPair> path_map() const;
  [[nodiscard]] bool allow_container_layer() const;
  [[nodiscard]] double reserve_gb() const;  ///< disk space that downloads leave free
  /// HF_HUB_CACHE (or the legacy name) when it decides the primary hub folder: set, and
  /// PRIMARY_CACHE_PATH is not.
  [[nodiscard]] std::optional<Value> explicit_hub_folder() const;
  /// HF_TOKEN, else HUGGING_FACE_HUB_TOKEN, else the token file (hf-cache rules, §1). Secret.
  [[nodiscard]] std::optional<std::string> hub_token() const;
  [[nodiscard]] std::string hub_endpoint() const;  ///< without trailing slash
  [[nodiscard]] bool offline() const;
  [[nodiscard]] bool symlinks_disabled() const;  ///< HF_HUB_DISABLE_SYMLINKS

  /// HOMELAB_LLM_ENGINE, absolute; nullopt: the program named homelab-llm-engine beside this one.
  [[nodiscard]] std::optional<std::filesystem::path> engine_program() const;
  /// HOMELAB_LLM_ENGINES_FILE, absolute; nullopt = no external engines.
  [[nodiscard]] std::optional<std::filesystem::path> engines_file() const;
  [[nodiscard]] bool engine_sandbox() const;  ///< engines give up what they do not need
  [[nodiscard]] int engine_threads()
      const;  ///< of all engines together; 0 = usable cores minus one
  [[nodiscard]] int context_tokens() const;  ///< per slot; 0 = the model's own, at most 8192
  [[nodiscard]] int slots() const;           ///< requests one engine works on at once
  [[nodiscard]] std::optional<int> gpu_layers() const;     ///< nullopt = as many as fit ("auto")
  [[nodiscard]] int max_loaded() const;                    ///< models loaded at once
  [[nodiscard]] std::chrono::seconds idle_unload() const;  ///< 0 = never
  [[nodiscard]] std::chrono::seconds hang_time() const;    ///< 0 = for ever
  [[nodiscard]] std::vector<std::string> pinned() const;   ///< registered names
  [[nodiscard]] std::vector<std::string> preload() const;  ///< registered names, in this order
  /// How long removed files can be brought back; 0 = deleted at once.
  [[nodiscard]] std::chrono::hours trash_time() const;
  [[nodiscard]] std::optional<bool> log_runs() const;      ///< nullopt = as switched last
  [[nodiscard]] std::chrono::days runs_keep_time() const;  ///< 0 = for ever
  [[nodiscard]] std::int64_t runs_keep() const;            ///< 0 = all
  [[nodiscard]] std::string log_level() const;             ///< debug, info, warn or error

  /// Things that are set but probably not meant (an empty HF_HOME, a relative cache path), one
  /// sentence each.
  [[nodiscard]] std::vector<std::string> const& warnings() const { return warnings_; }
  /// All rows with value and origin, secrets as "(set)": for start-up output, `explain`,
  /// /api/cache/config.
  struct Explained {
    Setting const* setting;
    std::string shown;
    std::string origin;
  };
  [[nodiscard]] std::vector<Explained> explain() const;

 private:
  friend class SettingsLoader;
  [[nodiscard]] int whole_number(std::string_view name) const;
  /// A list separated by commas.
  [[nodiscard]] std::vector<std::string> names(std::string_view setting) const;
  [[nodiscard]] std::string expand_path(std::string_view text, bool variables) const;
  [[nodiscard]] std::string python_home() const;

  std::map<std::string, Value, std::less<>> values_;
  Lookup lookup_;  ///< environment, then .env: for $VAR inside HF_HOME and its like
  std::vector<std::string> warnings_;
  std::filesystem::path home_;
  std::filesystem::path working_directory_;
};

/// The table as a Markdown page; docs/settings.md is its output.
[[nodiscard]] std::string settings_page();

}  // namespace homelab::config
