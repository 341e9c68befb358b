#pragma once
// The Hub's HTTP answers as values (hub-protocol §1, §4). Retries and rate limits are handled
// inside.
#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "cache/hub_folder.h"
#include "cache/names.h"

namespace homelab::http {
class Client;
}

namespace homelab::hub {

struct HubOptions {
  std::string endpoint = "https://huggingface.co";  ///< no trailing slash
  std::string token;                                ///< empty = anonymous; never logged
  bool offline = false;  ///< HF_HUB_OFFLINE: every request is kUnavailable, saying so
  std::chrono::milliseconds retry_unit{
      1000};  ///< first waiting time of the back-off; shorter in tests
};

using Cancelled = std::function<bool()>;

struct RemoteRevision {
  cache::CommitHash commit;
  std::optional<std::string> last_modified;  ///< RFC 3339, as the Hub wrote it
};

/// Thread-safe.
class HubApi {
 public:
  HubApi(http::Client& client, HubOptions options);
  [[nodiscard]] HubOptions const& options() const { return options_; }

  /// Commit a revision points to now. kNotFound (repository or revision), kPermissionDenied (gated,
  /// bad token), kUnavailable (network, offline, 5xx after retries), kDataLoss (answer that breaks
  /// the protocol).
  [[nodiscard]] Result<cache::CommitHash> commit_of(cache::RepoId const& repo,
                                                    cache::Revision const& revision,
                                                    Cancelled const& cancelled) const;
  /// The same with what else the Hub tells about that commit.
  [[nodiscard]] Result<RemoteRevision> remote_revision(cache::RepoId const& repo,
                                                       cache::Revision const& revision,
                                                       Cancelled const& cancelled) const;
  /// Complete recursive listing of a commit, all pages; every path, size and hash validated.
  [[nodiscard]] Result<cache::Tree> tree(cache::RepoId const& repo, cache::CommitHash const& commit,
                                         Cancelled const& cancelled) const;
  /// <endpoint>/<id>/resolve/<commit>/<path>, escaped.
  [[nodiscard]] std::string file_url(cache::RepoId const& repo, cache::CommitHash const& commit,
                                     cache::RepoPath const& path) const;

 private:
  http::Client& client_;
  HubOptions options_;
};

}  // namespace homelab::hub
