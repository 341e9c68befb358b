#include <fmt/format.h>

#include <algorithm>

#include "base/json.h"
#include "base/strings.h"
#include "cache/trash.h"

namespace homelab::cache {
namespace {

constexpr std::int64_t kFormatVersion = 1;
constexpr std::size_t kMaxPathBytes = 8192;
constexpr std::size_t kHashLength = 64;
constexpr std::string_view kUnescaped = "/";

tl::unexpected<Error> malformed(std::string_view what) {
  return fail(Code::kDataLoss, fmt::format("trash manifest is malformed: {}", what));
}

bool is_plain_segment(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." &&
         segment.find('\0') == std::string_view::npos;
}

bool is_repo_folder(std::string_view name) {
  for (std::string_view const prefix : {"models--", "datasets--", "spaces--", "kernels--"})
    if (name.starts_with(prefix) && name.size() > prefix.size()) return true;
  return false;
}

/// The folder of a repository in which things of this kind stand; empty: in any of them.
std::string_view room_of(RemovalKind kind) {
  switch (kind) {
    case RemovalKind::kRef:
      return "refs";
    case RemovalKind::kSnapshot:
    case RemovalKind::kEntry:
      return "snapshots";
    case RemovalKind::kBlob:
    case RemovalKind::kPayload:
      return "blobs";
    case RemovalKind::kTree:
      return "trees";
    case RemovalKind::kAbsences:
      return ".no_exist";
    case RemovalKind::kLeftover:
    case RemovalKind::kFolder:
      break;
  }
  return "";
}

bool is_payload(std::vector<std::string_view> const& parts) {
  auto const hash = parts.size() == 3 ? BlobName::parse(parts[2])
                                      : Result<BlobName>(fail(Code::kInvalidArgument, ""));
  return hash && parts[0] == "blobs" && parts[2].size() == kHashLength &&
         parts[1] == parts[2].substr(0, 2);
}

/// Where a thing of this kind may be put back: nowhere else.
bool may_stand(RemovalKind kind, std::string const& path) {
  if (path.empty() || path.size() > kMaxPathBytes) return false;
  auto const parts = split(path, '/');
  if (!std::ranges::all_of(parts, is_plain_segment)) return false;
  if (kind == RemovalKind::kPayload) return is_payload(parts);
  if (!is_repo_folder(parts[0])) return false;
  if (kind == RemovalKind::kFolder) return parts.size() == 1;
  if (kind == RemovalKind::kLeftover) return parts.size() >= 2;
  if (parts.size() < 3 || parts[1] != room_of(kind)) return false;
  bool const deep = kind == RemovalKind::kRef || kind == RemovalKind::kEntry;
  return deep ? kind == RemovalKind::kRef || parts.size() >= 4 : parts.size() == 3;
}

Result<TrashItem> read_item(json::value const& value) {
  auto const* object = value.if_object();
  if (object == nullptr) return malformed("an item is not an object");
  auto const word = get_string(*object, "kind");
  auto const kind = word ? parse_removal_kind(*word) : std::nullopt;
  auto const escaped = get_string(*object, "path");
  auto path = escaped ? percent_decode(*escaped) : std::nullopt;
  if (!kind || !path) return malformed("an item has no known kind or no path");
  if (!may_stand(*kind, *path)) return malformed("a path is not one of its kind");
  return TrashItem{*kind, *std::move(path)};
}

}  // namespace

std::string to_manifest_json(TrashManifest const& manifest) {
  json::array items;
  for (TrashItem const& item : manifest.items)
    // Names on disk are bytes, JSON wants UTF-8.
    items.push_back(json::object{{"kind", std::string(to_string(item.kind))},
                                 {"path", percent_encode(item.path, kUnescaped)}});
  json::object const root{{"format_version", kFormatVersion},
                          {"created_ns", manifest.created_ns},
                          {"reason", percent_encode(manifest.reason, " /@:.,")},
                          {"items", std::move(items)}};
  return to_ascii_json(root);
}

Result<TrashManifest> parse_manifest_json(std::string_view text) {
  auto const parsed = parse_json(text, 8);
  if (!parsed) return malformed(parsed.error().message);
  auto const* root = parsed->if_object();
  if (root == nullptr || get_int(*root, "format_version") != kFormatVersion)
    return malformed("not an object of a known format_version");
  auto const created = get_int(*root, "created_ns");
  auto const escaped = get_string(*root, "reason");
  auto reason = escaped ? percent_decode(*escaped) : std::nullopt;
  auto const* items = get_array(*root, "items");
  if (!created || !reason || items == nullptr)
    return malformed("created_ns, reason or items is missing");
  TrashManifest manifest{*created, *std::move(reason), {}};
  manifest.items.reserve(items->size());
  for (json::value const& value : *items) {
    ASSIGN_OR_RETURN(TrashItem item, read_item(value));
    manifest.items.push_back(std::move(item));
  }
  return manifest;
}

}  // namespace homelab::cache
