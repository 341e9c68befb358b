#include "loader/chat_template.h"

#include "base/os/file.h"
#include "loader/tokenizer_files.h"

namespace homelab::loader {

Result<std::vector<ChatTemplate>> read_chat_templates(std::filesystem::path const& folder,
                                                      json::object const& tokenizer_config) {
  std::vector<ChatTemplate> result;
  if (is_there(folder / "chat_template.jinja")) {
    ASSIGN_OR_RETURN(auto text, os::read_file(folder / "chat_template.jinja", kMaxSideFileBytes));
    result.push_back({"", std::move(text)});
    return result;
  }
  if (auto text = get_string(tokenizer_config, "chat_template")) {
    result.push_back({"", std::move(*text)});
    return result;
  }
  auto const* list = get_array(tokenizer_config, "chat_template");
  for (auto const& entry : list ? *list : json::array{}) {
    auto const* object = entry.if_object();
    auto const name = object ? get_string(*object, "name") : std::nullopt;
    auto const text = object ? get_string(*object, "template") : std::nullopt;
    if (name && text) result.push_back({*name == "default" ? "" : *name, *text});
  }
  if (result.empty() && is_there(folder / "chat_template.json")) {
    ASSIGN_OR_RETURN(auto const object,
                     read_object(folder / "chat_template.json", kMaxSideFileBytes));
    if (auto text = get_string(object, "chat_template")) result.push_back({"", std::move(*text)});
  }
  return result;
}

bool has_chat_template(std::filesystem::path const& folder) {
  if (is_there(folder / "chat_template.jinja") || is_there(folder / "chat_template.json"))
    return true;
  auto const config = read_optional_object(folder / "tokenizer_config.json");
  return config && is_set(*config, "chat_template");
}

}  // namespace homelab::loader
