#include "listing.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "base/hash.h"

namespace homelab::mirror {
namespace {

/// The text that git keeps in place of an LFS file.
std::string pointer_text(std::string_view sha256, std::uint64_t size_bytes) {
  return fmt::format("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize {}\n", sha256,
                     size_bytes);
}

std::string git_id(std::string_view content) {
  Hasher hasher = Hasher::git_blob(content.size());
  hasher.update(content);
  return hasher.finish();
}

void add_last_commit(json::object& entry, std::optional<LastCommit> const& last) {
  if (!last) return;
  entry["lastCommit"] = {{"id", last->id}, {"title", ""}, {"date", last->date}};
}

json::object lfs_object(cache::TreeFile const& file, std::string_view id_key) {
  return {{id_key, *file.lfs_sha256},
          {"size", file.size_bytes},
          {"pointerSize", pointer_text(*file.lfs_sha256, file.size_bytes).size()}};
}

/// Folders have a git id too, but it cannot be computed without file modes; clients only need it to
/// be one and to change with the content.
json::object folder_entry_of(std::string_view path, std::string const& content_text,
                             std::optional<LastCommit> const& last) {
  json::object entry = {{"type", "directory"},
                        {"oid", sha256_hex(content_text).substr(0, 40)},
                        {"size", 0},
                        {"path", path}};
  add_last_commit(entry, last);
  return entry;
}

std::string prefix_of(std::string_view folder) {
  return folder.empty() ? std::string() : std::string(folder) + "/";
}

}  // namespace

json::object file_entry(cache::TreeFile const& file, std::optional<LastCommit> const& last) {
  json::object entry = {{"type", "file"}, {"oid", file.git_oid}, {"size", file.size_bytes}};
  if (file.lfs_sha256) entry["lfs"] = lfs_object(file, "oid");
  entry["path"] = file.path.text();
  add_last_commit(entry, last);
  return entry;
}

json::array folder_entries(cache::Tree const& tree, std::string_view folder, bool recursive,
                           std::optional<LastCommit> const& last) {
  std::string const prefix = prefix_of(folder);
  std::map<std::string, json::object> entries;
  std::map<std::string, std::string> folders;  // path -> text of all that is below
  for (auto const& file : tree.files) {
    std::string const& path = file.path.text();
    if (!path.starts_with(prefix)) continue;
    auto slash = path.find('/', prefix.size());
    bool const direct = slash == std::string::npos;
    while (slash != std::string::npos) {
      folders[path.substr(0, slash)] += path + " " + file.git_oid + "\n";
      if (!recursive) break;
      slash = path.find('/', slash + 1);
    }
    if (direct || recursive) entries.emplace(path, file_entry(file, last));
  }
  for (auto const& [path, text] : folders) entries.emplace(path, folder_entry_of(path, text, last));
  json::array out;
  out.reserve(entries.size());
  for (auto& [path, entry] : entries) out.push_back(std::move(entry));
  return out;
}

std::optional<json::object> folder_entry(cache::Tree const& tree, std::string_view folder,
                                         std::optional<LastCommit> const& last) {
  std::string const prefix = prefix_of(folder);
  std::string text;
  for (auto const& file : tree.files) {
    if (file.path.text().starts_with(prefix)) text += file.path.text() + " " + file.git_oid + "\n";
  }
  if (text.empty()) return std::nullopt;
  return folder_entry_of(folder, text, last);
}

json::array siblings(cache::Tree const& tree, bool blobs) {
  json::array out;
  out.reserve(tree.files.size());
  for (auto const& file : tree.files) {
    json::object sibling = {{"rfilename", file.path.text()}};
    if (blobs) {
      sibling["size"] = file.size_bytes;
      sibling["blobId"] = file.git_oid;
      if (file.lfs_sha256) sibling["lfs"] = lfs_object(file, "sha256");
    }
    out.push_back(std::move(sibling));
  }
  return out;
}

cache::TreeFile file_of_blob(cache::RepoPath path, std::uint64_t size_bytes,
                             cache::BlobName const& blob) {
  if (!blob.is_sha256())
    return {std::move(path), size_bytes, blob.text(), std::nullopt, std::nullopt};
  return {std::move(path), size_bytes, git_id(pointer_text(blob.text(), size_bytes)), blob.text(),
          std::nullopt};
}

json::object repo_header(cache::RepoId const& repo) {
  // The Hub's ids are 24 hexadecimal digits; ours only need to be stable and different.
  return {{"_id", sha256_hex(repo.text()).substr(0, 24)},
          {"id", repo.text()},
          {"modelId", repo.text()},
          {"private", false},
          {"gated", false},
          {"disabled", false},
          {"downloads", 0},
          {"likes", 0},
          {"tags", json::array()}};
}

}  // namespace homelab::mirror
