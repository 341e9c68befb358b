#pragma once
// The family `homelab-llm cache ...` as plain values: one struct per command. Each has a file of
// its name in this folder with its execute().
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"

namespace homelab::cli {

struct Context;

struct CacheLsCommand {
  std::string repo;  ///< empty: all
};
[[nodiscard]] Result<int> execute(Context const& context, CacheLsCommand const& command);

struct CacheVerifyCommand {
  std::vector<std::string> repos;   ///< empty = all
  std::string location;             ///< empty = primary and secondary
  std::optional<std::string> path;  ///< root of a custom location
  bool all_again = false;
  bool repair = false;
  bool keep_wrong = false;
  bool dry_run = false;
  unsigned threads = 0;  ///< 0 = processors
};
[[nodiscard]] Result<int> execute(Context const& context, CacheVerifyCommand const& command);

/// Which root a command works on: a location's, or the one at `path`.
struct RootChoice {
  std::string location = "primary";
  std::optional<std::string> path;
};

struct CacheBridgeCommand {
  RootChoice root;
  bool dry_run = false;
  bool undo = false;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheBridgeCommand const& command);

/// What rm, gc and prune have in common.
struct RemovalFlags {
  std::string location;  ///< empty: primary and secondary
  std::string path;      ///< root of a custom location
  bool force = false;
  bool yes = false;
  bool dry_run = false;
  bool now = false;  ///< not into the trash
};

struct CacheRmCommand {
  std::vector<std::string> targets;
  RemovalFlags flags;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheRmCommand const& command);

struct CacheGcCommand {
  std::string older_than = "24h";
  bool partials = false;  ///< own ones too, however young
  RemovalFlags flags;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheGcCommand const& command);

struct CachePruneCommand {
  std::vector<std::string> repos;  ///< empty: all
  std::size_t keep = 0;
  RemovalFlags flags;
};
[[nodiscard]] Result<int> execute(Context const& context, CachePruneCommand const& command);

struct CacheMvCommand {
  std::string repo;
  std::string to;    ///< location
  std::string path;  ///< root of a custom location
  std::string from;  ///< location; empty: wherever it is
  bool force = false;
  bool yes = false;
  bool dry_run = false;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheMvCommand const& command);

struct CacheUndoCommand {
  std::string id;  ///< empty: the newest
};
[[nodiscard]] Result<int> execute(Context const& context, CacheUndoCommand const& command);

struct CacheTrashCommand {
  std::string action;  ///< "ls", "empty"
  std::string id;      ///< of one record; empty: all
  bool yes = false;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheTrashCommand const& command);

struct CacheDuCommand {};
[[nodiscard]] Result<int> execute(Context const& context, CacheDuCommand const& command);

struct CacheDedupCommand {
  bool dry_run = false;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheDedupCommand const& command);

struct CacheAdoptCommand {
  std::vector<std::string> sources;
  std::string as;  ///< "ORG/NAME", or empty
  RootChoice root;
  bool move = false;
  bool copy = false;
  bool dry_run = false;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheAdoptCommand const& command);

struct CacheExportCommand {
  std::vector<std::string> repos;
  std::string output;    ///< "-": standard output
  std::string revision;  ///< of those that name none; empty: all
  std::string location;  ///< empty: primary and secondary
  std::string path;      ///< root of a custom location
  bool dry_run = false;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheExportCommand const& command);

struct CacheImportCommand {
  std::string archive;  ///< "-": standard input
  std::string to = "primary";
  std::string path;  ///< root of a custom location
  bool force = false;
  bool dry_run = false;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheImportCommand const& command);

struct CacheCommand {
  std::variant<CacheLsCommand, CacheDuCommand, CacheVerifyCommand, CacheRmCommand, CacheGcCommand,
               CachePruneCommand, CacheUndoCommand, CacheTrashCommand, CacheMvCommand,
               CacheDedupCommand, CacheBridgeCommand, CacheAdoptCommand, CacheExportCommand,
               CacheImportCommand>
      chosen;
};
[[nodiscard]] Result<int> execute(Context const& context, CacheCommand const& command);

}  // namespace homelab::cli
