#pragma once
// What was asked for on the command line, as plain values. The parser knows CLI11; nothing else
// does.
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "cache_commands/commands.h"

namespace homelab::cli {

/// Options that every command has.
struct GlobalOptions {
  bool json = false;
  std::optional<std::string> env_file;
  std::map<std::string, std::string> flags;  ///< by setting name, for config::SettingsInput
};

struct ServeCommand {};
struct MirrorCommand {
  std::string root;
};
struct RegisterCommand {
  std::string name;  ///< never empty
  std::string repo;  ///< repository reference or local path
  std::string location = "primary";
  std::optional<std::string> path;  ///< root of a custom location
  bool trust_remote_code = false;
  std::optional<double> size_mb;
  std::string engine_name, engine_url;  ///< at most one of both; empty = our own engine
  std::string engine_model;             ///< the model's name there
};
struct PullCommand {
  std::string reference;
  std::string location = "primary";
  std::optional<std::string> path;
  bool everything = false;
};
struct LoadCommand {
  std::string model;
  bool force = false;
  bool beside = false;
};
struct UnloadCommand {
  std::string model;  ///< empty: "the loaded model"
};
/// How an answer is made; unset = the server's default.
struct SamplingOptions {
  std::optional<int> max_tokens;
  std::optional<double> temperature;
  std::optional<double> top_p;
  std::optional<int> top_k;
  std::optional<double> min_p;
  std::optional<double> repeat_penalty;
  std::optional<std::int64_t> seed;
  std::vector<std::string> stop;
  bool greedy = false;
};
struct RunCommand {
  std::string model;
  std::string prompt;  ///< empty = chat; "-" = standard input
  std::string system;
  SamplingOptions sampling;
};
struct GenerateCommand {
  std::string prompt;  ///< "-" = standard input
  bool stream = true;
  SamplingOptions sampling;
};
struct LsCommand {};
struct PsCommand {};
struct PingCommand {};
struct LogsCommand {
  std::string model;
  int lines = 200;
  bool follow = false;
};
struct ShowCommand {
  std::string name;
};
struct RmCommand {
  std::string name;
  bool files = false;
  bool yes = false;
};
struct UpdateCommand {
  std::vector<std::string> names;  ///< registered models; empty = all
  bool check = false;              ///< look only
  bool rollback = false;
  bool dry_run = false;
  std::optional<std::string> to;    ///< revision instead of the newest
  std::optional<std::size_t> keep;  ///< revisions to keep afterwards
};
struct DbCheckCommand {
  std::optional<std::filesystem::path> file;  ///< unset: DATABASE_PATH
};
struct DbBackupCommand {
  std::optional<std::filesystem::path> to;  ///< unset: beside the database, with the date
};
struct DbRestoreCommand {
  std::filesystem::path from;
};
struct ExplainCommand {
  std::string model;  ///< empty = settings and locations
};
struct DoctorCommand {};
struct VersionCommand {};

using Command =
    std::variant<ServeCommand, MirrorCommand, RegisterCommand, PullCommand, LoadCommand,
                 UnloadCommand, RunCommand, GenerateCommand, LsCommand, PsCommand, PingCommand,
                 LogsCommand, ShowCommand, RmCommand, UpdateCommand, CacheCommand, DbCheckCommand,
                 DbBackupCommand, DbRestoreCommand, ExplainCommand, DoctorCommand, VersionCommand>;

struct CommandLine {
  GlobalOptions global;
  Command command;
};

/// `--help` was asked for: this text, exit code 0.
struct HelpText {
  std::string text;
};

/// kInvalidArgument says what is wrong and where the help is. `argv[0]` is left out of `arguments`.
[[nodiscard]] Result<std::variant<CommandLine, HelpText>> parse_command_line(
    std::vector<std::string> arguments, std::string const& version);

/// Name under which a repository is registered when none was given: its last part, without revision
/// and variant; file name without extension for a local path.
[[nodiscard]] std::string default_model_name(std::string_view repo);

}  // namespace homelab::cli
