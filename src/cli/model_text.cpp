#include "model_text.h"

#include <fmt/format.h>

#include "base/strings.h"
#include "table.h"

namespace homelab::cli {
namespace {

std::string size_text(json::object const& model) {
  auto const mib = get_double(model, "model_size_mb");
  if (!mib || *mib <= 0) return "-";
  return human_bytes(static_cast<std::uint64_t>(*mib * 1024 * 1024));
}

std::string value_text(json::value const& value) {
  if (auto const* text = value.if_string()) return std::string(*text);
  return json::serialize(value);
}

}  // namespace

std::string short_time(std::optional<std::string> const& text) {
  if (!text || text->size() < 16) return "never";
  std::string shown = text->substr(0, 16);
  shown[10] = ' ';
  return shown;
}

std::string model_table(std::vector<ModelRow> const& rows) {
  Table table({{"NAME"},
               {"REPOSITORY"},
               {"STATUS"},
               {"SIZE", Align::kRight},
               {"LOADS", Align::kRight},
               {"LAST LOADED"},
               {"LOCATION"}});
  for (auto const& row : rows)
    table.add({row.name, row.hf_path,
               get_string(row.raw, "compatibility_status").value_or("unknown"), size_text(row.raw),
               std::to_string(get_int(row.raw, "total_loads").value_or(0)),
               short_time(get_string(row.raw, "last_loaded")), row.location});
  return table.render();
}

std::string model_details(ModelRow const& row) {
  std::vector<std::pair<std::string, std::string>> fields;
  for (auto const& [key, value] : row.raw) {
    if (value.is_null()) continue;
    std::string name(key);
    if (name == "model_size_mb") {
      fields.emplace_back("size", size_text(row.raw));
      continue;
    }
    for (char& letter : name)
      if (letter == '_') letter = ' ';
    fields.emplace_back(std::move(name), value_text(value));
  }
  return render_fields(fields);
}

}  // namespace homelab::cli
