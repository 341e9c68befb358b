#pragma once
// Cache locations: primary, secondary, custom; from a root to the hub folder in it (design §3,
// decision 0003).
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "cache/hub_folder.h"

namespace homelab::cache {

enum class LocationKind { kPrimary, kSecondary, kCustom };
[[nodiscard]] std::string_view to_string(LocationKind kind);
[[nodiscard]] std::optional<LocationKind> parse_location_kind(std::string_view text);

/// What the settings say about one location.
struct LocationOptions {
  std::string root;                ///< as configured, `~` expanded, absolute, never realpath'd
  std::optional<Path> hub_folder;  ///< explicit HF_HUB_CACHE, else derived from root
  double limit_gb = 0;
  std::string origin;  ///< where `root` came from, for people
};

/// From a root to the folder that holds models--*.
struct HubFolder {
  Path path;
  std::string why;  ///< one sentence: "hub/ below the root", "the root itself is a hub folder
                    ///< (models--* and no hub/)"
};
/// <root>/hub, or the root itself when it holds models--* and no hub/ (reported, not doubled).
[[nodiscard]] HubFolder hub_folder_of_root(Path const& root);

class Locations {
 public:
  Locations(LocationOptions primary, LocationOptions secondary, double warning_threshold);

  [[nodiscard]] LocationOptions const& primary() const { return primary_; }
  [[nodiscard]] LocationOptions const& secondary() const { return secondary_; }
  [[nodiscard]] double warning_threshold() const { return warning_threshold_; }

  /// What registration stores: the configured root for primary/secondary, `custom_path` for custom.
  [[nodiscard]] Result<std::string> root_to_store(
      LocationKind kind, std::optional<std::string> const& custom_path) const;

  /// What is opened for a stored row: the stored root while it is a folder here, else
  /// (primary/secondary) the location's root in this process: the same cache under its other name
  /// (host path, container path).
  struct Resolved {
    Path root;
    HubFolder hub;
    std::string why;
  };
  [[nodiscard]] Resolved resolve(LocationKind kind,
                                 std::optional<std::string> const& stored_root) const;

  /// Other folders of the same root in which a complete snapshot may already stand:
  /// <root>/models--* of cache_dir= users.
  [[nodiscard]] std::vector<Path> readable_hub_folders(Resolved const& resolved) const;

  /// Why the location cannot be used fully, one sentence: its drive is not there, it is no folder,
  /// it cannot be written. Empty when nothing is wrong; a root that can be made counts as right.
  /// Custom locations are looked at when they are used.
  [[nodiscard]] std::string trouble(LocationKind kind) const;

  struct Space {
    std::string path;
    double cache_size_gb, limit_gb, disk_free_gb, disk_total_gb, disk_usage_percent, projected_gb,
        usage_percent;
    bool sufficient, warning;
    std::string reason;  ///< when not sufficient: disk or quota, with numbers
  };
  /// Would `required_mb` more fit (contract §5.3; GB = 1024^3; each blob counted once)? Custom is
  /// always sufficient.
  /// `cancelled` is asked between repositories; then what is there counts as nothing used.
  [[nodiscard]] Space check_space(LocationKind kind, double required_mb,
                                  std::function<bool()> const& cancelled = {}) const;

 private:
  LocationOptions primary_;
  LocationOptions secondary_;
  double warning_threshold_;
};

}  // namespace homelab::cache
