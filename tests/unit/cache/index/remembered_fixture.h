#pragma once
// Two ways of scanning one hub folder, as text that can be compared, and a file system's clock.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <string>
#include <thread>

#include "../scan_fixture.h"
#include "base/os/file.h"

namespace homelab::cache {

inline std::string text_of(RepoScan const& scan) {
  std::string out =
      fmt::format("{} {} {} {} {} {} {} {} {}\n", to_string(scan.type), scan.id,
                  scan.folder.string(), scan.other_disk_bytes, scan.link_disk_bytes,
                  scan.plain_bytes, scan.plain_accessed_ns, scan.complete, scan.own_disk_bytes());
  for (auto const& blob : scan.blobs)
    out += fmt::format("blob {} {} {} {} {} {} {}.{} {} {} {}\n", blob.name,
                       blob.hash() ? blob.hash()->text() : "-", blob.size_bytes, blob.disk_bytes,
                       blob.modified_ns, blob.accessed_ns, blob.identity.device,
                       blob.identity.inode, blob.in_shared_store, blob.names, blob.entries);
  for (auto const& revision : scan.revisions)
    out += fmt::format("revision {} [{}] {} {} {}\n", revision.commit.text(),
                       fmt::join(revision.refs, " "), revision.files, revision.modified_ns,
                       revision.entries.size());
  for (auto const& [ref, commit] : scan.dangling_refs)
    out += fmt::format("dangling {} {}\n", ref, commit);
  for (auto const& leftover : scan.leftovers)
    out += fmt::format("leftover {} {} {} {} {}\n", static_cast<int>(leftover.kind),
                       leftover.path.string(), leftover.disk_bytes, leftover.modified_ns,
                       leftover.live);
  for (auto const& problem : scan.problems)
    out += fmt::format("problem {} {}\n", problem.path.string(), problem.what);
  for (auto const& file : scan.hard_linked)
    out += fmt::format("linked {} {} {} {}\n", file.identity.inode, file.size_bytes,
                       file.disk_bytes, file.is_content);
  return out;
}

class RememberedFixture : public ScanFixture {
 protected:
  [[nodiscard]] static std::string scan_text(Path const& hub, ScanDepth depth, ScanSource source) {
    std::string out;
    auto const done = scan_hub(
        hub,
        [&](RepoScan&& found) -> Status {
          out += text_of(found);
          return {};
        },
        depth, source);
    if (!done) return "error: " + done.error().message;
    for (auto const& problem : done->problems)
      out += problem.path.string() + " " + problem.what + "\n";
    for (auto const& link : done->links) out += "link " + link.string() + "\n";
    return out + fmt::format("store {} {} {}\n", done->store_payloads, done->store_size_bytes,
                             done->store_disk_bytes);
  }
  [[nodiscard]] std::string disk(ScanDepth depth) const {
    return scan_text(hub(), depth, ScanSource::kDisk);
  }
  [[nodiscard]] std::string remembered(ScanDepth depth) const {
    return scan_text(hub(), depth, ScanSource::kIndex);
  }
  void expect_right(std::string const& when) const {
    for (auto const depth : {ScanDepth::kSizes, ScanDepth::kUses})
      EXPECT_EQ(remembered(depth), disk(depth)) << when;
  }
  [[nodiscard]] Path index_folder() const { return hub() / ".locks/.homelab-llm/index"; }

  /// What the file system takes for now.
  [[nodiscard]] std::int64_t clock_ns() const {
    auto const probe = os::open_file(dir_ / "clock", O_RDWR | O_CREAT);
    struct stat found{};
    if (!probe || ::futimens(probe->get(), nullptr) != 0 || ::fstat(probe->get(), &found) != 0)
      throw std::runtime_error("the file system's clock cannot be read");
    return std::int64_t{found.st_ctim.tv_sec} * 1'000'000'000 + found.st_ctim.tv_nsec;
  }
  /// Until everything that was done lies so far back that it may be remembered.
  void settle() const {
    constexpr std::int64_t kLongEnoughNs = 60'000'000;
    auto const from = clock_ns();
    while (clock_ns() <= from + kLongEnoughNs) std::this_thread::yield();
  }
};

}  // namespace homelab::cache
