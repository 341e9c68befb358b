#include "watch.h"

#include <algorithm>
#include <utility>

#include "bytes.h"

namespace homelab::cache::index {
namespace {

constexpr std::int64_t kSecondNs = 1'000'000'000;
/// Local file systems take their times from the kernel's tick, 10 ms at most; the rest is caution.
constexpr std::int64_t kTickNs = 50'000'000;

/// Within this a second change may get the same time as the first. A time of whole seconds comes
/// from a file system that counts in seconds, or in pairs of them.
std::int64_t granularity_ns(struct timespec const& time) {
  return time.tv_nsec == 0 ? 2 * kSecondNs : kTickNs;
}

}  // namespace

void Watch::note(struct stat const& found) {
  if (device_ && *device_ != found.st_dev) spoil();
  device_ = found.st_dev;
  std::int64_t const changed =
      static_cast<std::int64_t>(found.st_ctim.tv_sec) * kSecondNs + found.st_ctim.tv_nsec;
  settled_ns_ = std::max(settled_ns_, changed + granularity_ns(found.st_ctim));
}

std::size_t Watch::folder(std::optional<std::size_t> parent, std::string_view name,
                          struct stat const& found) {
  note(found);
  Folder folder{{0, std::string(name), {}}, facts_of(found), {}};
  if (parent) folder.named.depth = folders_[*parent].named.depth + 1;
  folders_.push_back(std::move(folder));
  return folders_.size() - 1;
}

void Watch::file(std::size_t folder, std::string_view name, WatchKind kind,
                 struct stat const& found, std::string payload) {
  note(found);
  folders_[folder].files.push_back(
      {{std::string(name), kind, std::move(payload), 0}, facts_of(found)});
}

bool Watch::may_be_kept(RepoScan const& scan, std::uint64_t device, std::int64_t now_ns) const {
  bool const plain = scan.problems.empty() && scan.refs_clear && scan.leftovers.empty() &&
                     scan.hard_linked.empty() && scan.dangling_refs.empty();
  return plain && !spoiled_ && device_ == device && settled_ns_ < now_ns;
}

std::optional<Record> Watch::record(RepoScan const& scan, std::uint64_t device,
                                    std::int64_t now_ns) && {
  if (!may_be_kept(scan, device, now_ns)) return std::nullopt;
  Record record;
  record.other_disk_bytes = scan.other_disk_bytes;
  record.link_disk_bytes = scan.link_disk_bytes;
  record.plain_bytes = scan.plain_bytes;
  record.complete = scan.complete;
  auto blob = scan.blobs.begin();
  for (auto& folder : folders_) {
    record.facts = mix(record.facts, folder.facts);
    std::ranges::sort(folder.files, {}, [](File const& f) -> auto& { return f.named.name; });
    for (auto& file : folder.files) {
      record.facts = mix(record.facts, file.facts);
      if (file.named.kind == WatchKind::kBlob || file.named.kind == WatchKind::kStored) {
        // Both are sorted; a difference means that the folder changed while it was read.
        if (blob == scan.blobs.end() || blob->name != file.named.name) return std::nullopt;
        file.named.entries = blob->entries;
        ++blob;
      }
      folder.named.files.push_back(std::move(file.named));
    }
    record.folders.push_back(std::move(folder.named));
  }
  if (blob != scan.blobs.end()) return std::nullopt;
  for (auto const& revision : scan.revisions)
    record.revisions.push_back(
        {revision.commit, revision.refs, revision.files, revision.modified_ns});
  return record;
}

}  // namespace homelab::cache::index
