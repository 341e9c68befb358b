#include "cli/settings_locations.h"

#include <optional>
#include <utility>

#include "container.h"

namespace homelab::cli {
namespace {

cache::PlaceFinder finder_of(config::Settings const& settings) {
  std::vector<cache::PathMapping> map;
  for (auto const& pair : settings.path_map()) map.push_back({pair.host, pair.here});
  auto mounts = cache::read_mounts();
  auto container = cache::judge_container(container_hints(), mounts);
  return {std::move(map), std::move(mounts), std::move(container)};
}

}  // namespace

bool is_in_container() {
  auto const mounts = cache::read_mounts();
  return cache::judge_container(container_hints(), mounts).verdict != cache::ContainerVerdict::kNo;
}

hub::Downloader::Options download_options_of(config::Settings const& settings) {
  constexpr double kBytesPerGb = 1024.0 * 1024.0 * 1024.0;
  hub::Downloader::Options options;
  options.free_space_reserve_bytes =
      static_cast<std::uint64_t>(settings.reserve_gb() * kBytesPerGb);
  if (!settings.allow_container_layer())
    options.may_store = [finder = finder_of(settings)](cache::Path const& hub_folder) {
      return finder.check_lasting(hub_folder);
    };
  return options;
}

cache::Locations locations_of(config::Settings const& settings) {
  auto const primary_root = settings.primary_root();
  auto const secondary_root = settings.secondary_root();
  cache::LocationOptions primary{primary_root.text, std::nullopt, settings.primary_limit_gb(),
                                 primary_root.origin.to_string()};
  if (auto const explicit_folder = settings.explicit_hub_folder()) {
    primary.hub_folder = explicit_folder->text;
    primary.origin = explicit_folder->origin.to_string();
  }
  cache::LocationOptions secondary{secondary_root.text, std::nullopt, settings.secondary_limit_gb(),
                                   secondary_root.origin.to_string()};
  std::vector<cache::LocationOptions> custom;
  for (auto& root : settings.custom_roots())
    custom.push_back({std::move(root.path), std::nullopt, root.limit_gb, root.origin.to_string()});
  return {std::move(primary), std::move(secondary),  settings.warning_threshold(),
          std::move(custom),  settings.reserve_gb(), finder_of(settings)};
}

}  // namespace homelab::cli
