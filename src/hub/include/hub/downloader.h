#pragma once
// From a model reference to a complete snapshot on disk: local if it is there, else downloaded
// (design §6).
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"
#include "cache/names.h"
#include "hub/hub_api.h"
#include "hub/plan.h"

namespace homelab::hub {

/// A snapshot whose planned files are all present with the right sizes.
struct ReadySnapshot {
  cache::CommitHash commit;
  cache::Path folder;      ///< snapshots/<commit>
  cache::Path model_path;  ///< what the engine opens: the GGUF (first shard) or `folder`
  ModelFormat format = ModelFormat::kSafetensors;
  std::string variant;
  std::uint64_t total_bytes = 0;       ///< of the planned files
  std::uint64_t downloaded_bytes = 0;  ///< that came over the network just now
};

/// Looks only at the disk: is there a snapshot of this revision that can be loaded as it is? Judged
/// by trees/<commit>.json when stored, else by the files themselves (config + every shard of the
/// index + tokenizer, or the chosen GGUF with its shards). nullopt = not complete. Written by whom
/// does not matter.
[[nodiscard]] Result<std::optional<ReadySnapshot>> find_local(cache::Path const& hub_folder,
                                                              cache::ModelReference const& model);

struct Progress {
  enum class Stage { kListing, kWaitingForLock, kDownloading, kVerifying, kDone };
  Stage stage = Stage::kListing;
  std::uint64_t total_bytes = 0;
  std::uint64_t present_bytes = 0;  ///< already there or resumed
  std::uint64_t downloaded_bytes = 0;
  std::size_t total_files = 0;
  std::size_t finished_files = 0;
};

struct DownloadRequest {
  cache::Path hub_folder;  ///< where it is written
  std::vector<cache::Path>
      also_look_in;  ///< other hub folders of the same root in which it may already stand
  cache::ModelReference model;
  /// false: a complete local snapshot is used without any request, an incomplete one is completed
  /// at the commit that its ref names (the newest only when the Hub has that one no more). true:
  /// asks the Hub for the newest commit first and falls back to the local one when the Hub cannot
  /// be reached.
  bool refresh = false;
  bool everything =
      false;  ///< all files of the commit instead of the plan (never pickle unless asked)
  std::function<void(Progress const&)> on_progress;  ///< at most ~10 per second, from any thread
  Cancelled cancelled;
};

/// Thread-safe. Ten calls for one model are one download (in this process by joining, between
/// processes by the locks).
class Downloader {
 public:
  struct Options {
    std::size_t parallel_files = 8;
    std::size_t parallel_small_files = 16;
    std::size_t write_threads = 2;
    std::uint64_t free_space_reserve_bytes = 512ULL << 20;
    /// Asked before anything is downloaded into a folder; its error is the answer. Thread-safe.
    std::function<Status(cache::Path const& hub_folder)> may_store = {};
  };
  [[nodiscard]] static std::unique_ptr<Downloader> create(http::Client& client, HubOptions hub,
                                                          Options options);
  virtual ~Downloader() = default;

  /// Blocks until complete. Cancelled or killed: partials stay and the next call resumes.
  [[nodiscard]] virtual Result<ReadySnapshot> ensure(DownloadRequest request) = 0;
};

}  // namespace homelab::hub
