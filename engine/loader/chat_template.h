#pragma once
// The chat templates of a snapshot.
#include <filesystem>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/result.h"

namespace homelab::loader {

struct ChatTemplate {
  std::string name;  ///< empty for the default one
  std::string text;
};

/// From chat_template.jinja, tokenizer_config.json or chat_template.json, in this order; empty when
/// there is none.
[[nodiscard]] Result<std::vector<ChatTemplate>> read_chat_templates(
    std::filesystem::path const& folder, json::object const& tokenizer_config);

/// True if the folder has a chat template in any of the places one may be.
[[nodiscard]] bool has_chat_template(std::filesystem::path const& folder);

}  // namespace homelab::loader
