// Models whose files were moved to another cache location: `homelab-llm cache mv` tells.
#include <fmt/format.h>

#include <array>

#include "base/strings.h"
#include "dialects.h"
#include "model_json.h"
#include "relocation.h"
#include "replies.h"
#include "unused_write.h"
#include "validation.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

constexpr std::array<std::string_view, 3> kLocations = {"primary", "secondary", "custom"};

Reply answer(Services const& services, Request const& request) {
  BodyReader body(request);
  care::Relocation wanted;
  wanted.names = body.texts("model_names", true, not_blank("model_names"));
  wanted.location = body.one_of("cache_location", kLocations, "");
  wanted.root = body.optional_text("cache_path").value_or("");
  bool const force = body.boolean_or("force", false);
  body.forbid_others();
  if (auto rejection = body.rejection()) return *std::move(rejection);
  auto const moved = relocate(services, wanted, force);
  if (!moved) return error_reply(moved.error());
  json::array models;
  for (auto const& model : *moved) models.push_back(model_json(model));
  return json_reply(200, models);
}

}  // namespace

Result<std::vector<registry::Model>> relocate(Services const& services,
                                              care::Relocation const& relocation, bool force) {
  auto const kind = cache::parse_location_kind(relocation.location);
  if (!kind)
    return fail(
        Code::kInvalidArgument,
        fmt::format("'{}' is no location; use primary, secondary or custom", relocation.location));
  ASSIGN_OR_RETURN(auto root, services.locations.root_to_store(*kind, relocation.root));
  registry::Relocation const row{relocation.names, relocation.location, std::move(root)};
  if (force) return services.registry.relocate(row);
  return write_if_unused<std::vector<registry::Model>>(
      services, row.model_names, [&services, row] { return services.registry.relocate(row); });
}

void add_relocation_routes(http::Router& router, SharedServices const& services) {
  router.add("POST", "/api/models/relocate",
             [services](Request const& request) { return answer(*services, request); });
}

}  // namespace homelab::api
