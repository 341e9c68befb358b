#include "model_name.h"

#include <fmt/format.h>

namespace homelab::api {

Result<std::string> registered_name(registry::Registry& registry, std::string const& wanted) {
  auto const by_name = registry.find(wanted);
  if (by_name) return by_name->model_name;
  if (by_name.error().code != Code::kNotFound) return fail(by_name.error());
  ASSIGN_OR_RETURN(auto const models, registry.list());
  std::string found;
  for (registry::Model const& model : models) {
    if (model.hf_path != wanted) continue;
    if (!found.empty())
      return fail(Code::kInvalidArgument,
                  fmt::format("Several registered models use '{}': name one of them", wanted));
    found = model.model_name;
  }
  if (found.empty()) return fail(by_name.error());
  return found;
}

}  // namespace homelab::api
