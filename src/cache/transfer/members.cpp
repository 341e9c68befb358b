#include "members.h"

#include <fmt/format.h>

#include <algorithm>

namespace homelab::cache {

std::string blob_member(ArchiveRepo const& repo, BlobName const& blob) {
  return fmt::format("{}/blobs/{}", repo.folder_name(), blob.text());
}

std::string link_member(ArchiveRepo const& repo, CommitHash const& commit, RepoPath const& path) {
  return fmt::format("{}/snapshots/{}/{}", repo.folder_name(), commit.text(), path.text());
}

std::string listing_member(ArchiveRepo const& repo, CommitHash const& commit) {
  return fmt::format("{}/trees/{}.json", repo.folder_name(), commit.text());
}

std::string absent_member(ArchiveRepo const& repo, CommitHash const& commit, RepoPath const& path) {
  return fmt::format("{}/.no_exist/{}/{}", repo.folder_name(), commit.text(), path.text());
}

std::string ref_member(ArchiveRepo const& repo, Revision const& ref) {
  return fmt::format("{}/refs/{}", repo.folder_name(), ref.text());
}

std::string link_text_of(RepoPath const& path, BlobName const& blob) {
  std::string out = "../../";
  for (auto depth = std::ranges::count(path.text(), '/'); depth > 0; --depth) out += "../";
  return out + "blobs/" + blob.text();
}

}  // namespace homelab::cache
