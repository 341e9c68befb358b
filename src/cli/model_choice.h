#pragma once
// Which registered model a word on the command line means. Pure.
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.h"
#include "base/result.h"
#include "care/work.h"

namespace homelab::cli {

/// A row of GET /api/models.
struct ModelRow {
  std::string name;
  std::string hf_path;
  std::string location;
  std::optional<std::string> cache_path;
  json::object raw;  ///< the whole Model object
};
/// kDataLoss when the answer is no list of models.
[[nodiscard]] Result<std::vector<ModelRow>> rows_of(json::value const& answer);
/// By exact name; kNotFound says what there is.
[[nodiscard]] Result<ModelRow> row_named(std::vector<ModelRow> const& rows, std::string_view name);

struct NewRegistration {
  std::string name;
  std::string hf_path;
};
/// In this order: a registered name, the repository of a registered model, a repository reference
/// or an existing local path to register (the name is its last part, or all of it when that is
/// taken). kNotFound for anything else.
[[nodiscard]] Result<std::variant<ModelRow, NewRegistration>> choose_model(
    std::vector<ModelRow> const& rows, std::string const& word);

using care::is_local_path;

}  // namespace homelab::cli
