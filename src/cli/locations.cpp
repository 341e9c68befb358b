#include "locations.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace homelab::cli {

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
  return {std::move(primary), std::move(secondary), settings.warning_threshold()};
}

Result<ChosenLocation> choose_location(cache::Locations const& locations,
                                       std::string const& location,
                                       std::optional<std::string> const& path) {
  auto const kind = cache::parse_location_kind(location);
  if (!kind)
    return fail(Code::kInvalidArgument,
                fmt::format("'{}' is no location; use primary, secondary or custom", location));
  if (*kind == cache::LocationKind::kCustom && !path)
    return fail(Code::kInvalidArgument, "--location custom needs --path FOLDER");
  if (*kind != cache::LocationKind::kCustom && path)
    return fail(Code::kInvalidArgument,
                fmt::format("--path belongs to --location custom, not {}", location));
  std::optional<std::string> root;
  if (path) root = absolute_path(*path);
  return ChosenLocation{*kind, locations.resolve(*kind, root)};
}

std::string absolute_path(std::string const& text) {
  std::filesystem::path path = text;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
  char const* const home = std::getenv("HOME");
  if (home != nullptr && (text == "~" || text.starts_with("~/")))
    path = std::filesystem::path(home) / text.substr(text.size() > 1 ? 2 : 1);
  std::error_code error;
  auto absolute = std::filesystem::absolute(path, error);
  if (error) return text;
  absolute = absolute.lexically_normal();
  return absolute.has_filename() ? absolute.string() : absolute.parent_path().string();
}

}  // namespace homelab::cli
