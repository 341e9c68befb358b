#pragma once
// From a model reference to a complete snapshot: look locally, ask the Hub, fetch, link, tree, ref
// (design §6).
#include <memory>

#include "blob_fetcher.h"
#include "hub/downloader.h"
#include "hub/hub_api.h"

namespace homelab::hub {

struct SnapshotTools {
  http::Client& client;
  HubApi const& api;
  Downloader::Options options;
  std::function<std::shared_ptr<Machinery>()>
      machinery;  ///< asked for when something must be transferred
};

/// Runs on the calling thread until the snapshot is complete. `request.on_progress` is called on
/// it.
[[nodiscard]] Result<ReadySnapshot> fetch_snapshot(SnapshotTools const& tools,
                                                   DownloadRequest const& request);

}  // namespace homelab::hub
