#include "candidates.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "cache/usage.h"

namespace homelab::cache::sharing {
namespace {

bool may_be_shared(BlobFacts const& blob) {
  if (blob.in_shared_store || blob.size_bytes == 0) return false;
  auto const hash = blob.hash();
  return hash && hash->is_sha256();
}

/// The first 16 digits of a sha256 as a number: enough to say which names may be there twice.
std::uint64_t short_form(BlobName const& name) {
  constexpr std::size_t kDigits = 16;
  return std::stoull(name.text().substr(0, kDigits), nullptr, 16);
}

/// Those numbers that are there at least twice, sorted.
std::vector<std::uint64_t> repeated(std::vector<std::uint64_t> all) {
  std::ranges::sort(all);
  std::vector<std::uint64_t> out;
  for (std::size_t i = 1; i < all.size(); ++i)
    if (all[i] == all[i - 1] && (out.empty() || out.back() != all[i])) out.push_back(all[i]);
  return out;
}

using Key = std::tuple<BlobName, std::uint64_t, std::uint64_t>;  // name, size, device

}  // namespace

Result<Candidates> find_candidates(std::vector<Path> const& hub_folders) {
  std::vector<std::uint64_t> names;
  auto const note = [&](RepoScan const& repo) -> Status {
    for (auto const& blob : repo.blobs)
      if (may_be_shared(blob)) names.push_back(short_form(*blob.hash()));
    return {};
  };
  ASSIGN_OR_RETURN(Usage const usage, measure(hub_folders, note));
  names = repeated(std::move(names));
  std::map<Key, std::vector<Place>> found;
  auto const collect = [&](RepoScan const& repo) -> Status {
    for (auto const& blob : repo.blobs) {
      if (!may_be_shared(blob) || !std::ranges::binary_search(names, short_form(*blob.hash())))
        continue;
      found[Key{*blob.hash(), blob.size_bytes, blob.identity.device}].push_back(
          {repo.folder, blob.identity, blob.size_bytes, blob.disk_bytes, blob.names});
    }
    return {};
  };
  if (auto again = measure(hub_folders, collect, ScanDepth::kSizes); !again)
    return fail(std::move(again).error());
  Candidates out;
  out.disk_bytes = usage.disk_bytes;
  for (auto& [key, places] : found) {
    std::set<FileIdentity> files;
    for (auto const& place : places) files.insert(place.identity);
    if (files.size() < 2) continue;
    // The file with most names stays: fewest are replaced, and names outside blobs/ stay right.
    std::ranges::stable_sort(places, std::greater(), &Place::names);
    out.groups.push_back({std::get<0>(key), std::move(places)});
  }
  return out;
}

}  // namespace homelab::cache::sharing
