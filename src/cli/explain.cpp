// explain: where settings come from and where files are. Reads files; asks a server only for
// registered names.
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/strings.h"
#include "commands.h"
#include "exit_code.h"
#include "locations.h"
#include "model_choice.h"
#include "model_trail.h"
#include "server_link.h"
#include "table.h"

namespace homelab::cli {
namespace {

struct LocationFacts {
  std::string name;
  cache::LocationOptions options;
  cache::Locations::Resolved resolved;
  cache::Locations::Space space;
  bool exists = false;
};

std::vector<LocationFacts> facts_of(cache::Locations const& locations) {
  std::vector<LocationFacts> all;
  for (auto const& options : locations.all()) {
    LocationFacts facts{std::string(to_string(options.kind)), options, locations.resolve(options),
                        locations.check_space(options, 0)};
    std::error_code ignored;
    facts.exists = std::filesystem::is_directory(facts.resolved.hub.path, ignored);
    all.push_back(std::move(facts));
  }
  return all;
}

std::string settings_text(config::Settings const& settings) {
  Table table({{"SETTING"}, {"VALUE"}, {"FROM"}});
  for (auto const& row : settings.explain())
    table.add({std::string(row.setting->name), row.shown, row.origin});
  std::string text = table.render();
  for (auto const& warning : settings.warnings()) text += "warning: " + printable(warning) + "\n";
  return text;
}

std::string locations_text(std::vector<LocationFacts> const& all) {
  std::string text;
  for (auto const& facts : all) {
    text += fmt::format("\nCache location {}\n", facts.name);
    text += render_fields(
        {{"  root",
          facts.options.here_why.empty()
              ? fmt::format("{}  (from: {})", facts.resolved.root.string(), facts.options.origin)
              : fmt::format("{}  (from: {}, which says {}; {})", facts.resolved.root.string(),
                            facts.options.origin, facts.options.root, facts.options.here_why)},
         {"  hub folder",
          fmt::format("{}  ({}; {})", facts.resolved.hub.path.string(), facts.resolved.hub.why,
                      facts.exists ? "exists" : "does not exist yet")},
         {"  used",
          fmt::format("{:.1f} of {:.1f} GB", facts.space.cache_size_gb, facts.space.limit_gb)},
         {"  disk", fmt::format("{:.1f} of {:.1f} GB free", facts.space.disk_free_gb,
                                facts.space.disk_total_gb)}});
  }
  return text;
}

/// Under whose name files are made.
json::object user_value(std::optional<CacheOwner> const& owner) {
  return {{"uid", ::geteuid()},
          {"gid", ::getegid()},
          {"why", owner ? json::value(describe(*owner)) : json::value(nullptr)}};
}

json::object to_json(config::Settings const& settings, std::vector<LocationFacts> const& all) {
  json::array rows;
  for (auto const& row : settings.explain())
    rows.push_back(
        json::object{{"name", row.setting->name}, {"value", row.shown}, {"origin", row.origin}});
  json::array warnings;
  for (auto const& warning : settings.warnings()) warnings.emplace_back(warning);
  json::array locations;
  for (auto const& facts : all)
    locations.push_back(json::object{{"name", facts.name},
                                     {"root", facts.resolved.root.string()},
                                     {"origin", facts.options.origin},
                                     {"hub_folder", facts.resolved.hub.path.string()},
                                     {"why", facts.resolved.hub.why},
                                     {"exists", facts.exists},
                                     {"cache_size_gb", facts.space.cache_size_gb},
                                     {"limit_gb", facts.space.limit_gb},
                                     {"disk_free_gb", facts.space.disk_free_gb},
                                     {"disk_total_gb", facts.space.disk_total_gb}});
  return {{"settings", std::move(rows)},
          {"warnings", std::move(warnings)},
          {"locations", std::move(locations)}};
}

TrailStart start_of(ModelRow const& row) {
  TrailStart start{row.name, row.hf_path,
                   cache::parse_location_kind(row.location).value_or(cache::LocationKind::kPrimary),
                   row.cache_path};
  auto const config = parse_json(get_string(row.raw, "load_config").value_or("null"));
  auto const* object = config ? config->if_object() : nullptr;
  auto const* engine = object == nullptr ? nullptr : object->if_contains("engine");
  if (engine == nullptr) return start;
  if (engine->is_string()) start.engine = engine->get_string();
  if (auto const* choice = engine->if_object()) {
    start.engine = get_string(*choice, "name").value_or("");
    start.engine_url = get_string(*choice, "url").value_or("");
  }
  return start;
}

/// The registered model a word means, else the reference itself. A reference needs no server: only
/// a running one is asked whether it is registered.
Result<TrailStart> find_start(Context const& context, std::string const& word) {
  bool const reference = is_local_path(word) || word.find('/') != std::string::npos;
  auto link = reference ? ServerLink::connect(context) : ServerLink::connect_or_start(context);
  if (!link && reference)
    return TrailStart{"", is_local_path(word) ? absolute_path(word) : word,
                      cache::LocationKind::kPrimary, std::nullopt};
  if (!link) return fail(link.error());
  ASSIGN_OR_RETURN(auto const rows, list_models(link->api()));
  auto choice = choose_model(rows, word);
  if (choice && std::holds_alternative<ModelRow>(*choice))
    return start_of(std::get<ModelRow>(*choice));
  if (!reference) return fail(choice.error());
  return TrailStart{"", is_local_path(word) ? absolute_path(word) : word,
                    cache::LocationKind::kPrimary, std::nullopt};
}

}  // namespace

Outcome execute(Context const& context, ExplainCommand const& command) {
  auto const locations = locations_of(context.settings);
  if (command.model.empty()) {
    auto const facts = facts_of(locations);
    json::object value = to_json(context.settings, facts);
    value["user"] = user_value(context.owner);
    context.out.value(value);
    context.out.text(settings_text(context.settings) + locations_text(facts));
    if (context.owner) context.out.text("\n" + describe(*context.owner) + "\n");
    return kExitDone;
  }
  ASSIGN_OR_RETURN(auto const start, find_start(context, command.model));
  ASSIGN_OR_RETURN(auto const trail,
                   follow_trail(locations, config::python_cache(config::process_variable), start));
  json::object value = to_json(trail);
  value["model"] =
      start.registered_as.empty() ? json::value(nullptr) : json::value(start.registered_as);
  value["hf_path"] = start.hf_path;
  context.out.value(value);
  context.out.text(trail_text(trail));
  return kExitDone;
}

}  // namespace homelab::cli
