#pragma once
// What is remembered of one repository: the names of everything whose facts decide whether it is
// still as it was, one sum over those facts, and what a scan found that names and facts do not say.
// Links of snapshots are not among the names: the text of a link never changes, and a link that is
// replaced changes its folder.
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cache/names.h"

namespace homelab::cache::index {

enum class WatchKind : std::uint8_t {
  kFile,    ///< a ref, a listing, anything: it only must not change
  kBlob,    ///< a regular file in blobs/
  kStored,  ///< a link in blobs/ to a payload of the shared store; the payload's facts count
  kPlain,   ///< a regular file of a snapshot
};
inline constexpr std::uint64_t kWatchKinds = 4;

/// Everything of a node that changes when anybody changes it; not the time of its last use. The
/// change time cannot be set by programs, so a modification time that was set back is noticed.
[[nodiscard]] std::uint64_t facts_of(struct stat const& found);

struct Record {
  struct File {
    std::string name;
    WatchKind kind = WatchKind::kFile;
    std::string payload;        ///< of a kStored: 64 hexadecimal digits
    std::uint64_t entries = 0;  ///< of a blob
    friend bool operator==(File const&, File const&) = default;
  };
  struct Folder {
    std::size_t depth = 0;  ///< 0: the repository, the first one; each stands after its parent
    std::string name;
    std::vector<File> files;  ///< sorted by name
    friend bool operator==(Folder const&, Folder const&) = default;
  };
  struct Revision {
    CommitHash commit;
    std::vector<std::string> refs;
    std::uint64_t files = 0;
    std::int64_t modified_ns = 0;
    friend bool operator==(Revision const&, Revision const&) = default;
  };
  std::uint64_t facts = 0;  ///< of all folders and files, mixed in their order
  std::uint64_t other_disk_bytes = 0;
  std::uint64_t link_disk_bytes = 0;
  std::uint64_t plain_bytes = 0;
  bool complete = false;
  std::vector<Folder> folders;
  std::vector<Revision> revisions;
  friend bool operator==(Record const&, Record const&) = default;
};

/// Longer ones are neither written nor read: such a repository is scanned each time.
inline constexpr std::size_t kMaxRecordBytes = 16U << 20U;

[[nodiscard]] std::string to_bytes(Record const& record);
/// nullopt for anything that to_bytes() would not have given. No name in a record leads out of its
/// folder.
[[nodiscard]] std::optional<Record> parse_record(std::string_view bytes);

}  // namespace homelab::cache::index
