// Any bytes as the manifest of a cache archive: an error, or names that stay below their folders,
// refer to each other, and are the same again after writing.
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>

#include "cache/archive_manifest.h"
#include "transfer/expected_members.h"
#include "transfer/members.h"

namespace {

void check_plain(std::string const& member) {
  std::string const framed = "/" + member + "/";
  if (framed.find("/../") != std::string::npos || framed.find("/./") != std::string::npos ||
      framed.find("//") != std::string::npos || member.find('\0') != std::string::npos ||
      member.starts_with("."))
    std::abort();
}

void check_repo(homelab::cache::ArchiveRepo const& repo) {
  std::set<homelab::cache::BlobName> blobs;
  for (auto const& blob : repo.blobs) {
    if (!blobs.insert(blob.name).second) std::abort();
    check_plain(blob_member(repo, blob.name));
  }
  if (repo.revisions.empty()) std::abort();
  std::set<homelab::cache::CommitHash> commits;
  for (auto const& revision : repo.revisions) {
    commits.insert(revision.commit);
    if (revision.files.empty()) std::abort();
    for (auto const& file : revision.files) {
      if (!blobs.contains(file.blob)) std::abort();
      check_plain(link_member(repo, revision.commit, file.path));
    }
    for (auto const& path : revision.absent)
      check_plain(absent_member(repo, revision.commit, path));
  }
  for (auto const& ref : repo.refs) {
    if (!commits.contains(ref.commit)) std::abort();
    check_plain(ref_member(repo, ref.name));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  using namespace homelab::cache;
  auto const manifest = parse_archive_json({reinterpret_cast<char const*>(data), size});
  if (!manifest) return 0;
  for (ArchiveRepo const& repo : manifest->repos) check_repo(repo);
  // A stream without members is never complete.
  if (ExpectedMembers(*manifest).all_came()) std::abort();
  auto const again = parse_archive_json(to_archive_json(*manifest));
  if (!again || !(*again == *manifest)) std::abort();
  return 0;
}
