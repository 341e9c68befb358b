#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"
#include "cache/hub_folder.h"

namespace homelab::cache {
namespace {

constexpr std::int64_t kFormatVersion = 1;

bool by_path(TreeFile const& a, TreeFile const& b) { return a.path < b.path; }

void append_file(std::string& out, TreeFile const& file) {
  out += fmt::format("  {}: {{\n   \"size\": {},\n   \"blob_id\": \"{}\"",
                     to_ascii_json(json::string(file.path.text())), file.size_bytes, file.git_oid);
  if (file.lfs_sha256) {
    out += fmt::format(",\n   \"lfs_sha256\": \"{}\",\n   \"lfs_size\": {}", *file.lfs_sha256,
                       file.size_bytes);
  }
  if (file.xet_hash) out += fmt::format(",\n   \"xet_hash\": \"{}\"", *file.xet_hash);
  out += "\n  }";
}

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::kDataLoss, fmt::format("file listing is malformed: {}", what));
}

/// An optional hash member: absent and null are the same, anything else must be such a name of
/// `length` digits.
Result<std::optional<std::string>> read_hash(json::object const& info, std::string_view key,
                                             std::size_t length) {
  auto const* value = info.if_contains(key);
  if (!value || value->is_null()) return std::optional<std::string>();
  auto text = get_string(info, key);
  if (!text || text->size() != length || !BlobName::parse(*text))
    return malformed(fmt::format("{} is not {} hexadecimal digits", key, length));
  return text;
}

Result<TreeFile> read_file_entry(std::string_view path_text, json::value const& value) {
  auto path = RepoPath::parse(path_text);
  if (!path) return malformed(path.error().message);
  auto const* info = value.if_object();
  if (!info) return malformed("an entry is not an object");
  auto const size = get_int(*info, "size");
  if (!size || *size < 0) return malformed("size is not a number of bytes");
  ASSIGN_OR_RETURN(auto git_oid, read_hash(*info, "blob_id", 40));
  if (!git_oid) return malformed("blob_id is missing");
  ASSIGN_OR_RETURN(auto sha256, read_hash(*info, "lfs_sha256", 64));
  ASSIGN_OR_RETURN(auto xet, read_hash(*info, "xet_hash", 64));
  return TreeFile{std::move(*path), static_cast<std::uint64_t>(*size), std::move(*git_oid),
                  std::move(sha256), std::move(xet)};
}

}  // namespace

Result<BlobName> TreeFile::blob_name() const {
  return BlobName::parse(lfs_sha256 ? *lfs_sha256 : git_oid);
}

TreeFile const* Tree::find(std::string_view path) const {
  auto const at = std::ranges::lower_bound(
      files, path, {}, [](TreeFile const& file) { return std::string_view(file.path.text()); });
  return at != files.end() && at->path.text() == path ? &*at : nullptr;
}

std::string to_tree_json(Tree const& tree) {
  if (!std::ranges::is_sorted(tree.files, by_path)) {
    Tree sorted = tree;
    std::ranges::sort(sorted.files, by_path);
    return to_tree_json(sorted);
  }
  std::string out = fmt::format("{{\n \"format_version\": {},\n \"files\": {{", kFormatVersion);
  for (std::size_t i = 0; i < tree.files.size(); ++i) {
    out += i == 0 ? "\n" : ",\n";
    append_file(out, tree.files[i]);
  }
  out += tree.files.empty() ? "}\n}" : "\n }\n}";
  return out;
}

Result<std::optional<Tree>> parse_tree_json(std::string_view text) {
  auto parsed = parse_json(text, 8);
  if (!parsed) return malformed(parsed.error().message);
  auto const* root = parsed->if_object();
  if (!root) return malformed("the whole is not an object");
  auto const version = get_int(*root, "format_version");
  if (version != kFormatVersion) return std::optional<Tree>();
  auto const* files = get_object(*root, "files");
  if (!files) return malformed("\"files\" is missing");
  Tree tree;
  tree.files.reserve(files->size());
  for (auto const& [path, info] : *files) {
    ASSIGN_OR_RETURN(TreeFile file, read_file_entry(path, info));
    tree.files.push_back(std::move(file));
  }
  std::ranges::sort(tree.files, by_path);
  return std::optional<Tree>(std::move(tree));
}

}  // namespace homelab::cache
