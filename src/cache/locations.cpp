#include "cache/locations.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <system_error>
#include <utility>

#include "base/os/file.h"
#include "base/strings.h"
#include "cache/usage.h"

namespace homelab::cache {
namespace {

namespace fs = std::filesystem;

constexpr double kBytesPerGb = 1024.0 * 1024.0 * 1024.0;
constexpr double kMbPerGb = 1024.0;
constexpr std::string_view kModelPrefix = "models--";

bool is_folder(Path const& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

/// Entries models--* directly in a folder. `own_only`: real folders, not links into a hub folder (a
/// bridged root).
bool has_model_folders(Path const& folder, bool own_only) {
  std::error_code error;
  for (auto it = fs::directory_iterator(folder, error); !error && it != fs::directory_iterator();
       it.increment(error)) {
    std::error_code ignored;
    if (!it->path().filename().string().starts_with(kModelPrefix)) continue;
    if (it->is_directory(ignored) && !(own_only && it->is_symlink(ignored))) return true;
  }
  return false;
}

std::string disk_reason(Locations::Space const& space, double required_gb, double kept_gb) {
  std::string text = fmt::format("the disk of {} has {:.1f} GB free, {:.1f} GB are needed",
                                 space.path, space.disk_free_gb, required_gb);
  if (kept_gb > 0) text += fmt::format(" and {:.1f} GB are to stay free", kept_gb);
  return text;
}

std::string quota_reason(Locations::Space const& space, double required_gb) {
  return fmt::format(
      "{} would hold {:.1f} GB ({:.1f} GB now and {:.1f} GB more), its limit is {:.1f} GB",
      space.path, space.projected_gb, space.cache_size_gb, required_gb, space.limit_gb);
}

std::string with_name_here(std::string_view why, std::string const& name_here) {
  return name_here.empty() ? std::string(why) : fmt::format("{}; {}", why, name_here);
}

double percent_of(double part, double whole) { return whole > 0 ? part / whole * 100.0 : 0.0; }

}  // namespace

std::string_view to_string(LocationKind kind) {
  switch (kind) {
    case LocationKind::kPrimary:
      return "primary";
    case LocationKind::kSecondary:
      return "secondary";
    case LocationKind::kCustom:
      return "custom";
  }
  return "primary";
}

std::optional<LocationKind> parse_location_kind(std::string_view text) {
  for (auto const kind :
       {LocationKind::kPrimary, LocationKind::kSecondary, LocationKind::kCustom}) {
    if (text == to_string(kind)) return kind;
  }
  return std::nullopt;
}

HubFolder hub_folder_of_root(Path const& root) {
  Path const hub = root / "hub";
  std::error_code error;
  if (!fs::exists(hub, error) && has_model_folders(root, false))
    return {root, "the root itself is a hub folder (it holds models--* and no hub/)"};
  return {hub, "hub/ below the root"};
}

Locations::Locations(LocationOptions primary, LocationOptions secondary, double warning_threshold,
                     std::vector<LocationOptions> custom, double reserve_gb, PlaceFinder finder)
    : warning_threshold_(warning_threshold), reserve_gb_(reserve_gb), finder_(std::move(finder)) {
  primary.kind = LocationKind::kPrimary;
  secondary.kind = LocationKind::kSecondary;
  all_.push_back(std::move(primary));
  all_.push_back(std::move(secondary));
  for (auto& location : custom) {
    location.kind = LocationKind::kCustom;
    all_.push_back(std::move(location));
  }
  for (auto& location : all_) {
    auto found = finder_.find(location.root);
    location.here = std::move(found.path);
    location.here_why = std::move(found.why);
    if (location.hub_folder) location.hub_folder = finder_.find(*location.hub_folder).path;
  }
}

LocationOptions const* Locations::find_custom(Path const& root) const {
  auto const plain = [](Path const& path) {
    Path const normal = path.lexically_normal();
    return normal.has_filename() ? normal : normal.parent_path();
  };
  Path const wanted = plain(root);
  for (auto const& location : all_)
    if (location.kind == LocationKind::kCustom && plain(location.root) == wanted) return &location;
  return nullptr;
}

Result<std::string> Locations::root_to_store(LocationKind kind,
                                             std::optional<std::string> const& custom_path) const {
  if (kind == LocationKind::kPrimary) return primary().root;
  if (kind == LocationKind::kSecondary) return secondary().root;
  std::string_view const path = custom_path ? trim(*custom_path) : std::string_view();
  if (path.empty())
    return fail(Code::kInvalidArgument,
                "a custom cache location needs cache_path, the folder to use");
  if (path.find('\0') != std::string_view::npos || !Path(path).is_absolute()) {
    return fail(Code::kInvalidArgument,
                fmt::format("cache_path \"{}\" is not an absolute path; expected one like "
                            "/mnt/models/cache",
                            path.substr(0, path.find('\0'))));
  }
  return std::string(path);
}

Locations::Resolved Locations::resolve(LocationKind kind,
                                       std::optional<std::string> const& stored_root) const {
  LocationOptions const& own = kind == LocationKind::kSecondary ? secondary() : primary();
  bool const is_own = !stored_root || stored_root->empty() || *stored_root == own.root;
  if (!is_own) {
    auto const found = finder_.find(*stored_root);
    if (kind == LocationKind::kCustom || is_folder(found.path))
      return {found.path, hub_folder_of_root(found.path),
              with_name_here("the path stored at registration", found.why)};
  }
  std::string why = with_name_here(
      fmt::format("the {} location ({})",
                  kind == LocationKind::kSecondary ? "secondary" : "primary", own.origin),
      own.here_why);
  if (!is_own) why += fmt::format("; the stored path {} does not exist here", *stored_root);
  HubFolder hub = own.hub_folder
                      ? HubFolder{*own.hub_folder, "named as the hub folder by the settings"}
                      : hub_folder_of_root(own.here);
  return {own.here, std::move(hub), std::move(why)};
}

Locations::Resolved Locations::resolve(LocationOptions const& location) const {
  if (location.kind != LocationKind::kCustom) return resolve(location.kind, std::nullopt);
  return {
      location.here, hub_folder_of_root(location.here),
      with_name_here(fmt::format("a custom location ({})", location.origin), location.here_why)};
}

std::vector<Path> Locations::readable_hub_folders(Resolved const& resolved) const {
  if (resolved.root == resolved.hub.path || !has_model_folders(resolved.root, true)) return {};
  return {resolved.root};
}

std::string Locations::trouble(LocationOptions const& own) {
  Path const place = own.hub_folder ? *own.hub_folder : own.here;
  struct stat found{};
  if (::stat(place.c_str(), &found) == 0) {
    if (!S_ISDIR(found.st_mode)) return fmt::format("{} is not a folder", place.string());
    if (::access(place.c_str(), W_OK | X_OK) == 0) return {};
    return fmt::format("{} cannot be written ({}): models in it are served, nothing is downloaded",
                       place.string(), std::generic_category().message(errno));
  }
  if (errno != ENOENT)
    return fmt::format("{} cannot be reached: {}", place.string(),
                       std::generic_category().message(errno));
  Path above = place.parent_path();
  while (above != above.root_path() && !is_folder(above)) above = above.parent_path();
  if (::access(above.c_str(), W_OK | X_OK) == 0) return {};
  return fmt::format("{} does not exist and cannot be made in {} ({}); is the drive mounted?",
                     place.string(), above.string(), std::generic_category().message(errno));
}

Locations::Space Locations::check_space(LocationKind kind,
                                        std::optional<std::string> const& custom_root,
                                        double required_mb) const {
  if (kind != LocationKind::kCustom)
    return check_space(kind == LocationKind::kPrimary ? primary() : secondary(), required_mb);
  if (custom_root)
    if (auto const* location = find_custom(*custom_root))
      return check_space(*location, required_mb);
  Space space{};
  space.sufficient = true;
  return space;
}

Locations::Space Locations::check_space(LocationOptions const& own, double required_mb,
                                        std::function<bool()> const& cancelled) const {
  return check_space(own, required_mb, cancelled, ScanSource::kDisk);
}

Locations::Space Locations::check_space(LocationOptions const& own, double required_mb,
                                        std::function<bool()> const& cancelled,
                                        ScanSource source) const {
  Space space{};
  space.sufficient = true;
  double const required_gb = required_mb / kMbPerGb;
  auto const visit = [&](RepoScan const&) -> Status {
    if (cancelled && cancelled()) return fail(Code::kCancelled, "nobody needs the sum any more");
    return {};
  };
  auto const used = measure(hub_folders_of(*this, own), visit, ScanDepth::kSizes, source);
  Path const place = own.hub_folder ? *own.hub_folder : own.here;
  space.path = own.root;
  space.limit_gb = own.limit_gb;
  // What cannot be read is not known to be used.
  space.cache_size_gb = used ? static_cast<double>(used->used_bytes()) / kBytesPerGb : 0.0;
  space.projected_gb = space.cache_size_gb + required_gb;
  space.usage_percent = percent_of(space.projected_gb, own.limit_gb);
  space.warning = own.limit_gb > 0 && space.projected_gb / own.limit_gb >= warning_threshold_;
  auto const disk = os::disk_space(place);
  if (!disk) {
    space.sufficient = false;
    space.reason =
        fmt::format("the free space of {} is not known: {}", place.string(), disk.error().message);
    return space;
  }
  space.disk_free_gb = static_cast<double>(disk->free_bytes) / kBytesPerGb;
  space.disk_total_gb = static_cast<double>(disk->total_bytes) / kBytesPerGb;
  space.disk_usage_percent =
      percent_of(space.disk_total_gb - space.disk_free_gb, space.disk_total_gb);
  // The trash is emptied when somebody needs its space (room.h).
  double const trash_gb = used ? static_cast<double>(used->trash.disk_bytes) / kBytesPerGb : 0.0;
  // A question about nothing more is about what is there: the reserve is no fault of it.
  double const kept_gb = required_gb > 0 ? reserve_gb_ : 0;
  if (!(space.disk_free_gb + trash_gb - required_gb - kept_gb > 0)) {
    space.sufficient = false;
    space.reason = disk_reason(space, required_gb, kept_gb);
  } else if (own.limit_gb > 0 && !(space.projected_gb - trash_gb <= own.limit_gb)) {
    space.sufficient = false;
    space.reason = quota_reason(space, required_gb);
  }
  return space;
}

}  // namespace homelab::cache
