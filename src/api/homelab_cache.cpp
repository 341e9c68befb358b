// Cache locations: usage, space checks, orphans and their clean-up (contract §2.8, §5.9).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "base/strings.h"
#include "cache/scan.h"
#include "cache/usage.h"
#include "dialects.h"
#include "replies.h"
#include "repo_removal.h"
#include "validation.h"

namespace homelab::api {
namespace {

using cache::LocationKind;
using http::Reply;
using http::Request;

constexpr double kBytesPerMb = 1024.0 * 1024.0;
constexpr double kMbPerGb = 1024.0;
constexpr double kDefaultEstimateMb = 5000;
/// How long the first request after the start may wait for the first measurement.
constexpr std::chrono::milliseconds kFirstMeasurement{2000};

json::object config_json(cache::Locations const& locations) {
  return {{"primary_path", locations.primary().root},
          {"primary_limit_gb", locations.primary().limit_gb},
          {"secondary_path", locations.secondary().root},
          {"secondary_limit_gb", locations.secondary().limit_gb},
          {"usage_warning_threshold", locations.warning_threshold()}};
}

/// "512.0 MB", "100.0 GB", "1.95 TB" (contract §2.8).
std::string size_text(double gb) {
  if (gb < 1) return fmt::format("{:.1f} MB", gb * kMbPerGb);
  if (gb < 1000) return fmt::format("{:.1f} GB", gb);
  return fmt::format("{:.2f} TB", gb / 1024.0);
}

json::object usage_json(cache::LocationUsage const& usage) {
  auto const& space = usage.space;
  json::object out{{"path", space.path},
                   {"used", size_text(space.cache_size_gb)},
                   {"limit", size_text(space.limit_gb)},
                   {"disk_free", size_text(space.disk_free_gb)},
                   {"disk_total", size_text(space.disk_total_gb)},
                   {"usage_percent", space.usage_percent},
                   {"sufficient", space.sufficient && usage.degraded.empty()},
                   {"warning", space.warning}};
  // Ours, beside the contract's.
  out["degraded"] = usage.degraded.empty() ? json::value() : json::value(usage.degraded);
  bool const measured = usage.measured_at != UtcTime();
  out["measured_at"] = measured ? json::value(to_iso_utc(usage.measured_at)) : json::value();
  return out;
}

Reply stats(Services const& services, Request const& request) {
  auto const refresh = query_flag(request, "refresh", false);
  if (!refresh) return refresh.error();
  if (*refresh) services.usage.refresh_soon();
  auto const usage = services.usage.latest(kFirstMeasurement);
  json::object out{{"primary", usage_json(usage.at(0))},
                   {"secondary", usage_json(usage.at(1))},
                   {"config", config_json(services.locations)}};
  json::array custom;
  for (auto const& one : usage)
    if (one.kind == LocationKind::kCustom) custom.push_back(usage_json(one));
  // Ours: who names none gets the contract's shape.
  if (!custom.empty()) out["custom"] = std::move(custom);
  return json_reply(200, out);
}

Reply check(Services const& services, Request const& request) {
  auto const required_mb = query_number(request, "required_space_mb", 0);
  if (!required_mb) return required_mb.error();
  auto const kind =
      cache::parse_location_kind(last_query_value(request, "cache_location").value_or("primary"));
  if (!kind || *kind == LocationKind::kCustom)
    return json_reply(200, json::object{{"sufficient", true}, {"warning", false}});
  auto const space = services.locations.check_space(*kind, std::nullopt, *required_mb);
  return json_reply(200, json::object{{"cache_path", space.path},
                                      {"cache_size_gb", space.cache_size_gb},
                                      {"cache_limit_gb", space.limit_gb},
                                      {"disk_free_gb", space.disk_free_gb},
                                      {"disk_total_gb", space.disk_total_gb},
                                      {"disk_usage_percent", space.disk_usage_percent},
                                      {"projected_usage_gb", space.projected_gb},
                                      {"usage_percent", space.usage_percent},
                                      {"sufficient", space.sufficient},
                                      {"warning", space.warning},
                                      {"required_space_mb", *required_mb}});
}

Reply recommend(Services const& services, Request const& request) {
  auto const size_mb = query_number(request, "estimated_size_mb", kDefaultEstimateMb);
  if (!size_mb) return size_mb.error();
  auto const space = services.locations.check_space(services.locations.primary(), *size_mb);
  bool const primary = space.sufficient && !space.warning &&
                       cache::Locations::trouble(services.locations.primary()).empty();
  return json_reply(200, json::object{{"recommended_cache", primary ? "primary" : "secondary"},
                                      {"estimated_size_mb", *size_mb},
                                      {"estimated_size_gb", *size_mb / kMbPerGb}});
}

/// A hub folder and the location whose it is.
struct Place {
  LocationKind kind;
  cache::Path hub;
};

/// Hub folders of all locations in both layouts, each once.
std::vector<Place> places_of(cache::Locations const& locations) {
  std::vector<Place> places;
  std::set<cache::Path> seen;
  for (auto const& location : locations.all()) {
    for (auto const& hub : cache::hub_folders_of(locations, location))
      if (seen.insert(hub).second) places.push_back({location.kind, hub});
  }
  return places;
}

/// Repositories that some row names, with or without a revision or a variant.
Result<std::set<std::string>> registered_repos(registry::Registry& registry) {
  ASSIGN_OR_RETURN(auto const models, registry.list());
  std::set<std::string> repos;
  for (auto const& model : models)
    if (auto const reference = cache::ModelReference::parse(model.hf_path))
      repos.insert(reference->repo.text());
  return repos;
}

Status add_orphans(Place const& place, std::set<std::string> const& registered, json::array& out,
                   double& total_mb) {
  auto const visit = [&](cache::RepoScan const& repo) -> Status {
    if (repo.type != cache::RepoType::kModel || registered.contains(repo.id)) return {};
    double const mb = static_cast<double>(repo.size_bytes()) / kBytesPerMb;
    total_mb += mb;
    out.push_back(json::object{{"hf_path", repo.id},
                               {"directory", repo.folder.string()},
                               {"cache_type", to_string(place.kind)},
                               {"size_mb", mb},
                               {"size_gb", mb / kMbPerGb}});
    return {};
  };
  auto const scanned = cache::scan_hub(place.hub, visit);
  if (!scanned && scanned.error().code != Code::kNotFound) return fail(scanned.error());
  return {};
}

Reply orphaned(Services const& services) {
  auto const registered = registered_repos(services.registry);
  if (!registered) return error_reply(registered.error());
  json::array models;
  double total_mb = 0;
  for (auto const& place : places_of(services.locations))
    if (auto const added = add_orphans(place, *registered, models, total_mb); !added)
      return error_reply(added.error());
  auto const count = models.size();
  return json_reply(200, json::object{{"orphaned_models", std::move(models)},
                                      {"count", count},
                                      {"total_size_mb", total_mb},
                                      {"total_size_gb", total_mb / kMbPerGb}});
}

/// Removes one repository from every place; an error leaves the rest of the list to be done.
struct CleanUp {
  json::array deleted;
  json::array errors;
  double freed_mb = 0;

  void refuse(std::string const& id, std::string_view why) {
    errors.push_back(json::object{{"hf_path", id}, {"error", why}});
  }

  void remove(Place const& place, cache::RepoId const& repo, bool& found) {
    auto const removal = remove_repo({place.hub}, repo);
    if (!removal) {
      found = true;
      errors.push_back(
          json::object{{"hf_path", repo.text()},
                       {"error", removal.error().message},
                       {"directory", cache::RepoFolder(place.hub, repo).path().string()}});
    } else if (removal->found) {
      found = true;
      double const mb = static_cast<double>(removal->freed_bytes) / kBytesPerMb;
      freed_mb += mb;
      deleted.push_back(json::object{{"hf_path", repo.text()},
                                     {"directory", removal->path.string()},
                                     {"cache_type", to_string(place.kind)},
                                     {"freed_space_mb", mb}});
    }
  }
};

Reply clean_up(Services const& services, Request const& request) {
  auto const paths = read_text_list(request);
  if (!paths) return paths.error();
  auto const registered = registered_repos(services.registry);
  if (!registered) return error_reply(registered.error());
  auto const places = places_of(services.locations);
  CleanUp work;
  for (std::string const& path : *paths) {
    auto const repo = cache::RepoId::parse(path);
    if (!repo) {
      work.refuse(path, repo.error().message);
    } else if (registered->contains(repo->text())) {
      work.refuse(path, "A registered model uses it; delete that model first");
    } else {
      bool found = false;
      for (auto const& place : places) work.remove(place, *repo, found);
      if (!found) work.refuse(path, "Not found in any cache");
    }
  }
  services.usage.refresh_soon();
  auto const deleted = work.deleted.size();
  auto const errors = work.errors.size();
  return json_reply(200, json::object{{"deleted", std::move(work.deleted)},
                                      {"deleted_count", deleted},
                                      {"total_freed_mb", work.freed_mb},
                                      {"errors", std::move(work.errors)},
                                      {"error_count", errors}});
}

}  // namespace

void add_cache_routes(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/cache/config", [services](Request const&) {
    return json_reply(200, config_json(services->locations));
  });
  router.add("GET", "/api/cache/stats",
             [services](Request const& request) { return stats(*services, request); });
  router.add("POST", "/api/cache/check",
             [services](Request const& request) { return check(*services, request); });
  router.add("GET", "/api/cache/recommend",
             [services](Request const& request) { return recommend(*services, request); });
  router.add("GET", "/api/cache/orphaned",
             [services](Request const&) { return orphaned(*services); });
  router.add("POST", "/api/cache/cleanup",
             [services](Request const& request) { return clean_up(*services, request); });
}

}  // namespace homelab::api
