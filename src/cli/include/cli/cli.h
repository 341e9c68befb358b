#pragma once
// The command line: parses, talks to the server (or works on files when there is none), prints.
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "config/settings.h"

namespace homelab::cli {

/// How the registry's database is.
struct DatabaseState {
  std::filesystem::path file;
  int schema = 0;
  std::uint64_t size_bytes = 0;
  std::int64_t models = 0;
  std::int64_t performance_rows = 0;
  std::vector<std::string> damage;  ///< empty: whole
  std::optional<std::filesystem::path> newest_backup;
};

/// Work on the registry's file, which needs no server (registry/upkeep.h says what each does).
struct DatabaseHooks {
  using Path = std::filesystem::path;
  struct Restored {
    std::optional<Path> replaced;
    DatabaseState state;
  };
  std::function<Result<DatabaseState>(Path const& file)> check;
  std::function<Result<Path>(Path const& file, std::optional<Path> const& to)> backup;
  std::function<Result<Restored>(Path const& from, Path const& file)> restore;
};

/// What commands need from the composition root, so that cli knows neither api nor engine.
struct Hooks {
  std::string version;
  /// Runs the server until it is told to stop; gives the exit code. `announce`: print the cache
  /// banner.
  std::function<int(config::Settings const&)> serve;
  /// Serves a cache folder as a Hugging Face endpoint, read-only, until told to stop.
  std::function<int(config::Settings const&, std::string root, std::string host, int port)>
      serve_mirror;
  /// Starts a private server on a free loopback port inside this process and gives its base URL;
  /// `stop` ends it. Used by `run` when no server is running.
  struct PrivateServer {
    std::string base_url;
    std::function<void()> stop;
  };
  std::function<Result<PrivateServer>(config::Settings const&)> start_private;
  DatabaseHooks database;
};

/// Exit codes: 0 done, 1 failed, 2 wrong usage (docs/cli.md).
[[nodiscard]] int run(int argc, char** argv, Hooks const& hooks);

}  // namespace homelab::cli
