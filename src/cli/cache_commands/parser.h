#pragma once
// Adds `cache ...` to the command line.
#include <string>

#include "commands.h"

namespace CLI {
class App;
}

namespace homelab::cli {

/// Lives as long as `app`, whose options write into it.
class CacheParser {
 public:
  explicit CacheParser(CLI::App& app);
  CacheParser(CacheParser const&) = delete;
  CacheParser& operator=(CacheParser const&) = delete;

  /// After parsing; only when `cache` was chosen.
  [[nodiscard]] CacheCommand const& chosen() const { return chosen_; }

 private:
  /// A subcommand that chooses `command` as it stands after parsing. `examples` stand below the
  /// help.
  template <class Command>
  CLI::App* add(std::string name, Command const& command, std::string about,
                std::string const& examples);
  void add_looking();
  void add_verify();
  void add_removing();
  void add_trash();
  void add_moving();
  void add_sharing();
  void add_adopt();
  void add_archives();
  static void add_removal_flags(CLI::App* command, RemovalFlags& flags);

  CLI::App* cache_;
  CacheCommand chosen_;
  CacheLsCommand ls_;
  CacheDuCommand du_;
  CacheVerifyCommand verify_;
  CacheRmCommand rm_;
  CacheGcCommand gc_;
  CachePruneCommand prune_;
  CacheUndoCommand undo_;
  CacheTrashCommand trash_;
  CacheMvCommand mv_;
  CacheDedupCommand dedup_;
  CacheBridgeCommand bridge_;
  CacheAdoptCommand adopt_;
  CacheExportCommand export_;
  CacheImportCommand import_;
};

}  // namespace homelab::cli
