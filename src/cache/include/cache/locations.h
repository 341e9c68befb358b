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
#include "cache/mount_lookup.h"

namespace homelab::cache {

enum class ScanSource;

enum class LocationKind { kPrimary, kSecondary, kCustom };
[[nodiscard]] std::string_view to_string(LocationKind kind);
[[nodiscard]] std::optional<LocationKind> parse_location_kind(std::string_view text);

/// What the settings say about one location.
struct LocationOptions {
  std::string root;                ///< as configured, `~` expanded, absolute, never realpath'd
  std::optional<Path> hub_folder;  ///< explicit HF_HUB_CACHE, else derived from root
  double limit_gb = 0;             ///< quota; 0 = none
  std::string origin;              ///< where `root` came from, for people
  LocationKind kind = LocationKind::kPrimary;  ///< set by Locations
  Path here = {};             ///< what `root` is called in this process; set by Locations
  std::string here_why = {};  ///< empty: the same
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
  /// `custom`: further roots that are looked after (listed, measured, limited); models may stand
  /// in other custom roots as well. `reserve_gb`: what a download leaves free on a disk.
  Locations(LocationOptions primary, LocationOptions secondary, double warning_threshold,
            std::vector<LocationOptions> custom = {}, double reserve_gb = 0,
            PlaceFinder finder = {});

  /// Primary, secondary, then the custom ones in the order of the settings.
  [[nodiscard]] std::vector<LocationOptions> const& all() const { return all_; }
  /// The custom location with this root, however it is spelt; null when the settings have none.
  [[nodiscard]] LocationOptions const* find_custom(Path const& root) const;
  [[nodiscard]] LocationOptions const& primary() const { return all_[0]; }
  [[nodiscard]] LocationOptions const& secondary() const { return all_[1]; }
  [[nodiscard]] double warning_threshold() const { return warning_threshold_; }
  [[nodiscard]] double reserve_gb() const { return reserve_gb_; }

  /// What registration stores: the configured root for primary/secondary, `custom_path` for custom.
  [[nodiscard]] Result<std::string> root_to_store(
      LocationKind kind, std::optional<std::string> const& custom_path) const;

  /// What is opened for a stored row: the stored root while it is a folder here (under its own
  /// name or under the one that the mounts give it), else
  /// (primary/secondary) the location's root in this process: the same cache under its other name
  /// (host path, container path).
  struct Resolved {
    Path root;
    HubFolder hub;
    std::string why;
  };
  [[nodiscard]] Resolved resolve(LocationKind kind,
                                 std::optional<std::string> const& stored_root) const;
  /// One of all().
  [[nodiscard]] Resolved resolve(LocationOptions const& location) const;

  /// Other folders of the same root in which a complete snapshot may already stand:
  /// <root>/models--* of cache_dir= users.
  [[nodiscard]] std::vector<Path> readable_hub_folders(Resolved const& resolved) const;

  /// Why a location cannot be used fully, one sentence: its drive is not there, it is no folder,
  /// it cannot be written. Empty when nothing is wrong; a root that can be made counts as right.
  [[nodiscard]] static std::string trouble(LocationOptions const& location);

  struct Space {
    std::string path;
    double cache_size_gb, limit_gb, disk_free_gb, disk_total_gb, disk_usage_percent, projected_gb,
        usage_percent;
    bool sufficient, warning;
    std::string reason;  ///< when not sufficient: disk or quota, with numbers
  };
  /// Would `required_mb` more fit into the location, one of all() (contract §5.3; GB = 1024^3;
  /// each blob counted once)? `cancelled` is asked between repositories; then what is there
  /// counts as nothing used. The trash counts as free: who writes empties it (room.h).
  [[nodiscard]] Space check_space(LocationOptions const& location, double required_mb,
                                  std::function<bool()> const& cancelled = {}) const;
  /// The same for who asks again and again: with kIndex (scan.h) it remembers in the hub folder
  /// what it saw, where the other writes nothing.
  [[nodiscard]] Space check_space(LocationOptions const& location, double required_mb,
                                  std::function<bool()> const& cancelled, ScanSource source) const;
  /// The same for what a registration says; a custom root that the settings do not name is always
  /// sufficient (contract §5.3).
  [[nodiscard]] Space check_space(LocationKind kind, std::optional<std::string> const& custom_root,
                                  double required_mb) const;

 private:
  std::vector<LocationOptions> all_;
  double warning_threshold_;
  double reserve_gb_;
  PlaceFinder finder_;
};

}  // namespace homelab::cache
