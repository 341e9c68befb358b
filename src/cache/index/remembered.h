#pragma once
// What earlier scans of one hub folder found, used for repositories of which no fact has changed
// (docs/decisions, "The scan remembers repositories that did not change").
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "../scan/findings.h"
#include "index_file.h"
#include "record.h"
#include "watch.h"

namespace homelab::cache::index {

/// For one scan. recall(), begin() and keep() from several threads, for different repositories.
class Remembered {
 public:
  /// `hub` is kept by reference and must not be kEverything: entries are not remembered.
  explicit Remembered(scan::HubPlace const& hub);

  /// What is remembered, with sizes and times of blobs as they are now; nullopt when anything is
  /// different.
  [[nodiscard]] std::optional<RepoScan> recall(std::string const& repo);

  /// To be called before a repository is scanned that shall be kept.
  void begin();
  void keep(std::string const& repo, Watch&& watch, RepoScan const& scan);

  /// After the last repository, when all were read. Writes the new index if there is one; that it
  /// cannot be written is no error.
  void finish();

 private:
  friend class Recall;
  [[nodiscard]] bool is_shelf(std::string_view payload);

  scan::HubPlace const& hub_;
  std::string name_;
  std::optional<IndexFile> old_;
  std::vector<char> used_;                    ///< by place in the old table
  std::array<std::atomic<char>, 256> shelf_;  ///< of the shared store: 0 not known, 'y', 'n'
  std::once_flag once_;
  std::mutex mutex_;
  std::optional<IndexWriter> writer_;  ///< guarded by mutex_ after begin()
};

}  // namespace homelab::cache::index
