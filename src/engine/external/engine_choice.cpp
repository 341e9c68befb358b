// Which engine a registered model names.
#include <fmt/format.h>

#include "base/strings.h"
#include "base_url.h"
#include "engine/external_engine.h"

namespace homelab::engine {
namespace {

tl::unexpected<Error> wrong(std::string_view why) {
  return fail(Code::kInvalidArgument,
              fmt::format("'engine' must be the name of an engine in the engines file, {{\"name\": "
                          "NAME}} or {{\"url\": \"http://...\"}}, both with \"model\" if it has "
                          "another name there: {}",
                          why));
}

Result<std::string> text_of(std::string_view key, json::value const& value) {
  if (!value.is_string() || trim(value.get_string()).empty())
    return wrong(fmt::format("'{}' must be a text", key));
  return std::string(trim(value.get_string()));
}

}  // namespace

Result<EngineChoice> parse_engine_choice(json::value const& value) {
  EngineChoice out;
  if (value.is_string()) {
    ASSIGN_OR_RETURN(out.name, text_of("engine", value));
    return out;
  }
  auto const* object = value.if_object();
  if (object == nullptr) return wrong("it is neither a text nor an object");
  for (auto const& [key, content] : *object) {
    if (content.is_null()) continue;
    if (key == "name") {
      ASSIGN_OR_RETURN(out.name, text_of(key, content));
    } else if (key == "model") {
      ASSIGN_OR_RETURN(out.model, text_of(key, content));
    } else if (key == "url") {
      ASSIGN_OR_RETURN(auto const url, text_of(key, content));
      ASSIGN_OR_RETURN(out.url, parse_base_url(url));
    } else if (key == "command" || key == "api_key_env" || key == "env") {
      return wrong(fmt::format("'{}' stands in the engines file only (docs/external-engines.md)",
                               std::string_view(key)));
    } else {
      return wrong(fmt::format("there is no key '{}'", std::string_view(key)));
    }
  }
  if (out.name.empty() == out.url.empty()) return wrong("either name or url, not both");
  return out;
}

std::optional<EngineChoice> engine_choice_of(std::optional<std::string> const& load_config) {
  auto const parsed = load_config ? parse_json(*load_config) : Result<json::value>(nullptr);
  auto const* object = parsed ? parsed->if_object() : nullptr;
  auto const* engine = object == nullptr ? nullptr : object->if_contains("engine");
  if (engine == nullptr) return std::nullopt;
  auto choice = parse_engine_choice(*engine);
  return choice ? std::optional(*std::move(choice)) : std::nullopt;
}

Result<ExternalEngine> choose_engine(ExternalEngines const& known, EngineChoice const& choice) {
  ExternalEngine out;
  if (!choice.url.empty()) {
    out.url = choice.url;
  } else if (auto const found = known.find(choice.name); found != known.end()) {
    out = found->second;
  } else {
    std::string names;
    for (auto const& [name, engine] : known) names += (names.empty() ? "" : ", ") + name;
    return fail(Code::kNotFound,
                fmt::format("there is no engine '{}' in the engines file "
                            "(HOMELAB_LLM_ENGINES_FILE); there {}",
                            choice.name, names.empty() ? "is none" : "are: " + names));
  }
  if (!choice.model.empty()) out.model = choice.model;
  return out;
}

}  // namespace homelab::engine
