#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "care/work.h"

namespace homelab::care {

Result<ChosenLocation> choose_location(cache::Locations const& locations,
                                       std::string const& location,
                                       std::optional<std::string> const& path) {
  auto const kind = cache::parse_location_kind(location);
  if (!kind)
    return fail(Code::kInvalidArgument,
                fmt::format("'{}' is no location; use primary, secondary or custom", location));
  if (*kind == cache::LocationKind::kCustom && !path) {
    if (locations.all().size() == 3)  // primary, secondary and the only custom one
      return ChosenLocation{*kind, locations.resolve(locations.all().back())};
    return fail(Code::kInvalidArgument,
                "location custom needs the path of its root (--path FOLDER)");
  }
  if (*kind != cache::LocationKind::kCustom && path)
    return fail(Code::kInvalidArgument,
                fmt::format("a path belongs to location custom, not {}", location));
  std::optional<std::string> root;
  if (path) root = absolute_path(*path);
  return ChosenLocation{*kind, locations.resolve(*kind, root)};
}

Result<ChosenLocation> choose_one(cache::Locations const& locations, Place const& place) {
  if (!place.path.empty() && place.location.empty())
    return choose_location(locations, "custom", place.path);
  return choose_location(locations, place.location.empty() ? "primary" : place.location,
                         place.path.empty() ? std::nullopt : std::optional(place.path));
}

bool is_local_path(std::string_view word) {
  return word.starts_with('/') || word.starts_with("./") || word.starts_with("../") ||
         word.starts_with("~/");
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

}  // namespace homelab::care
