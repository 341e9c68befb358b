// Registry routes (contract §2.3).
#include <fmt/format.h>

#include <chrono>
#include <future>

#include "base/strings.h"
#include "dialects.h"
#include "model_json.h"
#include "replies.h"
#include "repo_removal.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;
using http::Response;

constexpr double kDefaultSizeMb = 5000;
constexpr double kBytesPerMb = 1024.0 * 1024.0;

struct Registration {
  std::string model_name;
  std::string hf_path;
  bool trust_remote_code = false;
  std::string cache_location;
  std::optional<std::string> cache_path;
  double estimated_size_mb = kDefaultSizeMb;
  std::optional<std::string> load_config;
};

/// Ours: "engine", another engine than our own. Stored as the row's load_config.
void read_engine(Services const& services, BodyReader& body, Registration& out) {
  auto const* value = body.fields().if_contains("engine");
  if (value == nullptr || value->is_null()) return;
  auto const choice = engine::parse_engine_choice(*value);
  if (!choice) return body.refuse_value("engine", choice.error().message);
  auto const chosen = engine::choose_engine(services.engines.external_engines(), *choice);
  if (!chosen) return body.refuse_value("engine", chosen.error().message);
  out.load_config = json::serialize(json::object{{"engine", *value}});
  // Nothing comes into our cache for a model that another server has.
  if (chosen->command.empty()) out.estimated_size_mb = 0;
}

tl::expected<Registration, Response> read_registration(Services const& services,
                                                       Request const& request) {
  BodyReader body(request);
  Registration out;
  out.model_name = body.text("model_name", not_blank("model_name"));
  out.hf_path = body.text("hf_path", clean_hub_path("hf_path"));
  out.trust_remote_code = body.boolean_or("trust_remote_code", false);
  out.cache_location = body.text_or("cache_location", "primary");
  out.cache_path = body.optional_text("cache_path");
  double const size = body.optional_number("estimated_size_mb", kDefaultSizeMb).value_or(0);
  out.estimated_size_mb = size == 0 ? kDefaultSizeMb : size;
  read_engine(services, body, out);
  if (auto rejection = body.rejection()) return tl::unexpected<Response>(*std::move(rejection));
  if (out.cache_path) {
    std::string const path(trim(*out.cache_path));
    out.cache_path = path.empty() ? std::nullopt : std::optional(path);
  }
  return out;
}

Response name_taken(std::string const& name) {
  return detail_reply(400, fmt::format("A model named '{}' is already registered; choose another "
                                       "name or delete that one first",
                                       name));
}

Response no_space(Registration const& wanted, cache::Locations::Space const& space) {
  std::string const reason = space.reason.empty() ? "" : fmt::format(" ({})", space.reason);
  return detail_reply(
      507,
      fmt::format("Not enough space in the {} cache: {:.1f} GB available on the disk, {:.1f} GB "
                  "required{}. Use another cache_location or give a smaller "
                  "estimated_size_mb",
                  wanted.cache_location, space.disk_free_gb, wanted.estimated_size_mb / 1024.0,
                  reason));
}

/// Location, path and space: what is checked once the name is known to be free. The value is the
/// root to store.
tl::expected<std::string, Response> check_place(Services const& services,
                                                Registration const& wanted) {
  auto const refuse = [](Response response) {
    return tl::unexpected<Response>(std::move(response));
  };
  auto const kind = cache::parse_location_kind(wanted.cache_location);
  if (!kind)
    return refuse(detail_reply(400, fmt::format("Unknown cache_location '{}'; expected primary, "
                                                "secondary or custom",
                                                wanted.cache_location)));
  if (*kind == cache::LocationKind::kCustom && !wanted.cache_path)
    return refuse(detail_reply(400,
                               "cache_location custom needs cache_path: the folder in which "
                               "this model's files are to be kept"));
  auto root = services.locations.root_to_store(*kind, wanted.cache_path);
  if (!root) return refuse(error_reply(root.error()));
  auto const space =
      services.locations.check_space(*kind, *root, std::max(0.0, wanted.estimated_size_mb));
  if (!space.sufficient) return refuse(no_space(wanted, space));
  return *std::move(root);
}

Reply register_model(Services const& services, Request const& request) {
  auto wanted = read_registration(services, request);
  if (!wanted) return std::move(wanted).error();
  auto const existing = services.registry.find(wanted->model_name);
  if (existing) return name_taken(wanted->model_name);
  if (existing.error().code != Code::kNotFound) return error_reply(existing.error());
  auto root = check_place(services, *wanted);
  if (!root) return std::move(root).error();

  registry::NewModel row;
  row.model_name = wanted->model_name;
  row.hf_path = wanted->hf_path;
  row.trust_remote_code = wanted->trust_remote_code;
  row.cache_location = wanted->cache_location;
  row.cache_path = *std::move(root);
  row.load_config = wanted->load_config;
  auto const model = services.registry.add(row);
  if (model) {
    services.feed.list_changed();
    return json_reply(201, model_json(*model));
  }
  if (model.error().code == Code::kAlreadyExists) return name_taken(row.model_name);
  return error_reply(model.error());
}

Reply list_models(Services const& services) {
  auto const models = services.registry.list();
  if (!models) return error_reply(models.error());
  json::array out;
  for (registry::Model const& model : *models) out.push_back(model_json(model));
  return json_reply(200, out);
}

/// Removes the row through the owner of the loaded state and waits: that owner never blocks, so
/// this is short.
Result<registry::Model> remove_row(Services const& services, std::string const& name) {
  auto promise = std::make_shared<std::promise<Result<registry::Model>>>();
  auto future = promise->get_future();
  services.engines.remove_model(
      name, [promise](Result<registry::Model> model) { promise->set_value(std::move(model)); });
  if (future.wait_for(std::chrono::seconds(30)) != std::future_status::ready)
    return fail(Code::kDeadlineExceeded,
                fmt::format("removing '{}' did not end within 30 s; look at the list", name));
  return future.get();
}

/// What became of the files, as members of the answer.
void delete_files(Services const& services, registry::Model const& model, json::object& answer) {
  std::string const removed = fmt::format("Model '{}' was deleted", model.model_name);
  auto const reference = cache::ModelReference::parse(model.hf_path);
  if (!reference) {
    answer["message"] = removed + "; its files were left alone";
    answer["warning"] = fmt::format(
        "{} is not a repository of the cache: local files are never "
        "deleted by the server",
        model.hf_path);
    return;
  }
  auto const rows = services.registry.list();
  std::string const user = rows ? other_user(services.locations, model, *rows) : std::string();
  if (!rows || !user.empty()) {
    answer["message"] = removed + "; its files were kept";
    answer["warning"] = rows ? fmt::format("The files of {} are still used by model '{}'",
                                           reference->repo.text(), user)
                             : fmt::format("Cannot tell whether another model uses the files: {}",
                                           rows.error().message);
    return;
  }
  auto const removal = remove_repo(hub_folders_of(services.locations, model), reference->repo);
  if (!removal) {
    answer["message"] = removed + ", but deleting its files failed";
    answer["error"] = removal.error().message;
  } else if (!removal->found) {
    answer["message"] = removed + "; no files were found";
    answer["warning"] = fmt::format("Folder not found: {}", removal->path.string());
  } else {
    answer["message"] = removed + " with its files";
    answer["freed_space_mb"] = static_cast<double>(removal->freed_bytes) / kBytesPerMb;
    answer["deleted_path"] = removal->path.string();
  }
}

Reply one_model(Services const& services, Request const& request) {
  auto const model = services.registry.find(trim(request.path_value("name")));
  if (!model) return error_reply(model.error());
  return json_reply(200, model_json(*model));
}

Reply delete_model(Services const& services, Request const& request) {
  auto const with_files = query_flag(request, "delete_files", false);
  if (!with_files) return with_files.error();
  std::string const name(trim(request.path_value("name")));
  auto const model = remove_row(services, name);
  if (!model) return error_reply(model.error());
  services.feed.model_removed(model->model_name);
  json::object answer{{"message", fmt::format("Model '{}' was deleted", model->model_name)}};
  if (*with_files) {
    delete_files(services, *model, answer);
    services.usage.refresh_soon();
  }
  return json_reply(200, answer);
}

}  // namespace

void add_model_routes(http::Router& router, SharedServices const& services) {
  router.add("POST", "/api/models",
             [services](Request const& request) { return register_model(*services, request); });
  router.add("GET", "/api/models", [services](Request const&) { return list_models(*services); });
  router.add("GET", "/api/models/{name}",
             [services](Request const& request) { return one_model(*services, request); });
  router.add("DELETE", "/api/models/{name}",
             [services](Request const& request) { return delete_model(*services, request); });
}

}  // namespace homelab::api
