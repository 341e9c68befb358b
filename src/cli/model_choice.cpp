#include "model_choice.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/strings.h"
#include "cache/names.h"
#include "command_line.h"
#include "locations.h"

namespace homelab::cli {
namespace {

bool taken(std::vector<ModelRow> const& rows, std::string_view name) {
  return std::any_of(rows.begin(), rows.end(),
                     [&](ModelRow const& row) { return row.name == name; });
}

Result<std::string> free_name(std::vector<ModelRow> const& rows, std::string const& reference) {
  std::string name = default_model_name(reference);
  if (!taken(rows, name)) return name;
  name = reference;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return c == '/' || c == ':' || c == '@'; }, '-');
  if (!taken(rows, name)) return name;
  return fail(Code::kAlreadyExists,
              fmt::format("the names {} and {} are taken; choose one: homelab-llm register NAME {}",
                          default_model_name(reference), name, reference));
}

}  // namespace

Result<std::vector<ModelRow>> rows_of(json::value const& answer) {
  auto const* array = answer.if_array();
  if (array == nullptr)
    return fail(Code::kDataLoss, "the server's list of models is no JSON array");
  std::vector<ModelRow> rows;
  for (auto const& entry : *array) {
    auto const* object = entry.if_object();
    auto const name = object == nullptr ? std::nullopt : get_string(*object, "model_name");
    if (!name) return fail(Code::kDataLoss, "an entry of the server's list of models has no name");
    rows.push_back({*name, get_string(*object, "hf_path").value_or(""),
                    get_string(*object, "cache_location").value_or("primary"),
                    get_string(*object, "cache_path"), *object});
  }
  return rows;
}

Result<ModelRow> row_named(std::vector<ModelRow> const& rows, std::string_view name) {
  auto const found = std::find_if(rows.begin(), rows.end(),
                                  [&](ModelRow const& row) { return row.name == trim(name); });
  if (found != rows.end()) return *found;
  std::vector<std::string> names;
  for (auto const& row : rows) names.push_back(row.name);
  return fail(care::no_model_named(name, names));
}

Result<std::variant<ModelRow, NewRegistration>> choose_model(std::vector<ModelRow> const& rows,
                                                             std::string const& word) {
  auto named = row_named(rows, word);
  if (named) return *std::move(named);
  bool const local = is_local_path(word);
  std::string const reference = local ? absolute_path(word) : word;
  for (auto const& row : rows)
    if (row.hf_path == reference) return row;
  if (local) {
    std::error_code ignored;
    if (!std::filesystem::exists(reference, ignored))
      return fail(Code::kNotFound, fmt::format("there is no file or folder {}", reference));
  } else {
    if (word.find('/') == std::string::npos)
      return fail(Code::kNotFound, named.error().message +
                                       ". Name one of them, or a repository (ORG/NAME) to set up");
    RETURN_IF_ERROR(cache::ModelReference::parse(word));
  }
  ASSIGN_OR_RETURN(auto name, free_name(rows, reference));
  return NewRegistration{std::move(name), reference};
}

}  // namespace homelab::cli
