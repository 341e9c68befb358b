#pragma once
// Notes, while a repository is scanned, everything that was looked at.
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/scan.h"
#include "record.h"

namespace homelab::cache::index {

/// One repository, one thread.
class Watch {
 public:
  /// A folder, before its names are read. `parent`: what this gave for the parent; for the
  /// repository itself anything, and no name.
  std::size_t folder(std::optional<std::size_t> parent, std::string_view name,
                     struct stat const& found);
  void file(std::size_t folder, std::string_view name, WatchKind kind, struct stat const& found,
            std::string payload = {});
  /// Something was met that facts do not decide; the repository is scanned each time.
  void spoil() { spoiled_ = true; }

  /// What can be remembered: nothing of a repository with problems, leftovers (whether one is being
  /// written is decided by locks) or hard links, of one that reaches over to another file system
  /// than `device`, and of one that changed so shortly before `now_ns` that a further change could
  /// leave the same times. `now_ns` is the file system's clock, read before the scan began.
  [[nodiscard]] std::optional<Record> record(RepoScan const& scan, std::uint64_t device,
                                             std::int64_t now_ns) &&;

 private:
  struct File {
    Record::File named;
    std::uint64_t facts;
  };
  struct Folder {
    Record::Folder named;
    std::uint64_t facts;
    std::vector<File> files;
  };
  void note(struct stat const& found);
  [[nodiscard]] bool may_be_kept(RepoScan const& scan, std::uint64_t device,
                                 std::int64_t now_ns) const;

  std::vector<Folder> folders_;
  bool spoiled_ = false;
  std::optional<std::uint64_t> device_;
  std::int64_t settled_ns_ = INT64_MIN;  ///< when the newest change is too old to be repeated
};

}  // namespace homelab::cache::index
