#include "cache/usage.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <limits>
#include <utility>

#include "findings.h"

namespace homelab::cache {
namespace {

constexpr int kMaxDepth = 64;

void add_to(Usage::Part& part, std::uint64_t disk) {
  ++part.files;
  part.disk_bytes += disk;
}

/// All files below a folder of ours; what cannot be read counts as nothing.
void add_tree(int parent, char const* name, Usage::Part& part, int depth) {
  os::UniqueFd const folder = scan::open_folder_at(parent, name);
  scan::FolderList names;
  std::size_t left = std::numeric_limits<std::size_t>::max();
  if (!folder || depth > kMaxDepth || names.read(folder.get(), left) != 0) return;
  for (std::size_t i = 0; i < names.size(); ++i) {
    struct stat found{};
    if (!scan::look_at(folder.get(), names[i].name, found)) continue;
    if (S_ISDIR(found.st_mode)) {
      add_tree(folder.get(), names[i].name, part, depth + 1);
    } else {
      add_to(part, scan::disk_bytes(found));
    }
  }
}

Usage::Part part_below(Path const& hub_folder, std::string_view name) {
  Usage::Part part;
  Path const folder = own_folder(hub_folder, name);
  auto const parent = os::open_file(folder.parent_path(), O_RDONLY | O_DIRECTORY);
  if (parent) add_tree(parent->get(), folder.filename().c_str(), part, 0);
  return part;
}

void merge(Usage::Part& into, Usage::Part const& more) {
  into.files += more.files;
  into.disk_bytes += more.disk_bytes;
}

}  // namespace

Path own_folder(Path const& hub_folder, std::string_view name) {
  return hub_folder / ".locks" / ".homelab-llm" / name;
}

std::uint64_t Usage::used_bytes() const {
  return content_bytes + partials.disk_bytes + temporaries.disk_bytes + trash.disk_bytes +
         quarantine.disk_bytes;
}

void UsageSum::add(RepoScan const& repo) {
  ++usage_.repositories;
  usage_.revisions += repo.revisions.size();
  usage_.content_bytes += repo.plain_bytes;
  std::set<FileIdentity> mine;
  for (auto const& blob : repo.blobs) {
    // Payloads of the store are added with the hub folder.
    if (blob.in_shared_store || (blob.names > 1 && !mine.insert(blob.identity).second)) continue;
    usage_.content_bytes += blob.size_bytes;
    if (blob.entries == 0 && repo.complete) add_to(usage_.orphans, blob.disk_bytes);
  }
  usage_.disk_bytes += repo.own_disk_bytes();
  for (auto const& file : repo.hard_linked) {
    if (seen_.insert(file.identity).second) continue;
    usage_.disk_bytes -= file.disk_bytes;
    if (file.is_content) usage_.content_bytes -= file.size_bytes;
  }
  add_leftovers(repo);
}

void UsageSum::add_leftovers(RepoScan const& repo) {
  for (auto const& leftover : repo.leftovers) {
    bool const temporary = leftover.kind == Leftover::Kind::kTemporary;
    add_to(temporary ? usage_.temporaries : usage_.partials, leftover.disk_bytes);
    if (!temporary && leftover.live) add_to(usage_.live_partials, leftover.disk_bytes);
  }
}

void UsageSum::add(Path const& hub_folder, HubScan const& hub) {
  usage_.content_bytes += hub.store_size_bytes;
  merge(usage_.store, {hub.store_payloads, hub.store_disk_bytes});
  auto const trash = part_below(hub_folder, "trash");
  auto const quarantine = part_below(hub_folder, "quarantine");
  merge(usage_.trash, trash);
  merge(usage_.quarantine, quarantine);
  usage_.disk_bytes += hub.store_disk_bytes + trash.disk_bytes + quarantine.disk_bytes;
}

std::vector<Path> hub_folders_of(Locations const& locations, LocationOptions const& location) {
  auto const resolved = locations.resolve(location);
  std::vector<Path> candidates = locations.readable_hub_folders(resolved);
  candidates.insert(candidates.begin(), resolved.hub.path);
  std::vector<Path> out;
  std::set<FileIdentity> seen;
  for (auto& folder : candidates) {
    struct stat found{};
    if (::stat(folder.c_str(), &found) == 0 && S_ISDIR(found.st_mode) &&
        seen.insert({found.st_dev, found.st_ino}).second)
      out.push_back(std::move(folder));
  }
  return out;
}

Result<Usage> measure(std::vector<Path> const& hub_folders,
                      std::function<Status(RepoScan const&)> const& visit, ScanDepth depth,
                      ScanSource source) {
  UsageSum sum;
  for (auto const& folder : hub_folders) {
    auto const hub = scan_hub(
        folder,
        [&](RepoScan&& repo) -> Status {
          sum.add(repo);
          return visit ? visit(repo) : Status();
        },
        depth, source);
    if (hub) {
      sum.add(folder, *hub);
    } else if (hub.error().code != Code::kNotFound) {
      return fail(hub.error());
    }
  }
  return sum.usage();
}

}  // namespace homelab::cache
