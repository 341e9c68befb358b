// doctor, settings: variables that are empty, old, misspelt or not what was meant.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/strings.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

/// An empty value counts as present for the Python client (hf-cache rules, §1).
struct EmptyVariable {
  std::string_view name;
  std::string_view effect;
};
constexpr std::array kEmpty{
    EmptyVariable{"HF_HOME", "Python writes to the folder hub/ below wherever a script is started"},
    EmptyVariable{"HF_HUB_CACHE", "Python writes models--* into wherever a script is started"},
    EmptyVariable{"HUGGINGFACE_HUB_CACHE",
                  "Python writes models--* into wherever a script is started"},
    EmptyVariable{"XDG_CACHE_HOME",
                  "Python writes to huggingface/hub below wherever a script is started"},
    EmptyVariable{"HF_XET_CACHE", "Python keeps its chunks wherever a script is started"},
    EmptyVariable{"HF_ASSETS_CACHE", "Python keeps its assets wherever a script is started"},
    EmptyVariable{"HF_TOKEN_PATH", "Python looks for its token in a file without a name"},
    EmptyVariable{"HF_ENDPOINT", "Python asks an address without a host, so no download works"},
};

struct OldName {
  std::string_view name;
  std::string_view effect;
  std::string_view instead;  ///< empty: nothing takes its place
  Severity severity = Severity::kWarning;
};
constexpr std::array kOld{
    OldName{"HUGGINGFACE_HUB_CACHE", "is an old name", "HF_HUB_CACHE", Severity::kInfo},
    OldName{"HUGGING_FACE_HUB_TOKEN", "is an old name", "HF_TOKEN", Severity::kInfo},
    OldName{"HUGGINGFACE_ASSETS_CACHE", "is an old name", "HF_ASSETS_CACHE", Severity::kInfo},
    OldName{"TRANSFORMERS_CACHE", "sends transformers 4 to another folder; 5 ignores it",
            "HF_HOME"},
    OldName{"PYTORCH_TRANSFORMERS_CACHE", "sends transformers 4 to another folder; 5 ignores it",
            "HF_HOME"},
    OldName{"PYTORCH_PRETRAINED_BERT_CACHE", "sends transformers 4 to another folder; 5 ignores it",
            "HF_HOME"},
    OldName{"HF_HUB_ENABLE_HF_TRANSFER", "does nothing any more", "", Severity::kInfo},
};

bool is_true(std::string_view text) {
  std::string const word = to_lower(text);
  return word == "1" || word == "on" || word == "yes" || word == "true";
}

std::string const* value_of(Machine const& machine, std::string_view name) {
  auto const at = machine.environment.find(std::string(name));
  return at == machine.environment.end() ? nullptr : &at->second;
}

void find_empty(Machine const& machine, Findings& out) {
  for (auto const& [name, effect] : kEmpty) {
    auto const* value = value_of(machine, name);
    if (value != nullptr && value->empty())
      out.push_back({Severity::kWarning, fmt::format("{} is set but empty: {}", name, effect),
                     fmt::format("unset {}", name)});
  }
}

void find_old(Machine const& machine, Findings& out) {
  for (auto const& old : kOld) {
    auto const* value = value_of(machine, old.name);
    if (value == nullptr || value->empty()) continue;
    std::string mend = fmt::format("unset {}", old.name);
    if (!old.instead.empty()) mend += fmt::format(" and use {}", old.instead);
    out.push_back({old.severity, fmt::format("{} {}", old.name, old.effect), std::move(mend)});
  }
  auto const* staging = value_of(machine, "HUGGINGFACE_CO_STAGING");
  if (staging != nullptr && is_true(*staging))
    out.push_back({Severity::kWarning,
                   "HUGGINGFACE_CO_STAGING sends Python to the Hub's test system, whatever "
                   "HF_ENDPOINT says",
                   "unset HUGGINGFACE_CO_STAGING"});
}

/// The Python client reads these while it is imported; a word there ends the import.
void find_bad_numbers(Machine const& machine, Findings& out) {
  for (std::string_view const name : {"HF_HUB_ETAG_TIMEOUT", "HF_HUB_DOWNLOAD_TIMEOUT"}) {
    auto const* value = value_of(machine, name);
    if (value == nullptr || value->empty() || parse_uint(trim(*value))) continue;
    out.push_back({Severity::kWarning,
                   fmt::format("{} is '{}', which is no whole number: Python cannot import "
                               "huggingface_hub",
                               name, *value),
                   fmt::format("unset {}", name)});
  }
}

void find_unknown(Machine const& machine, Findings& out) {
  constexpr std::string_view kOurs = "HOMELAB_LLM_";
  std::vector<std::string_view> known{"HOMELAB_LLM_CONTAINER"};
  for (auto const& row : config::settings_table()) known.push_back(row.name);
  for (auto const& [name, value] : machine.environment) {
    if (!name.starts_with(kOurs) || std::ranges::find(known, name) != known.end()) continue;
    auto const meant = nearest_name(name, known);
    out.push_back({Severity::kWarning, fmt::format("there is no setting {}", name),
                   meant ? fmt::format("write {} instead", *meant) : "unset " + name});
  }
}

/// Sentences of the settings themselves; what was said above about the environment is left out.
void take_warnings(Machine const& machine, Findings& out) {
  for (auto const& warning : machine.settings.warnings()) {
    bool const said = std::ranges::any_of(kEmpty, [&](EmptyVariable const& variable) {
      auto const* value = value_of(machine, variable.name);
      return value != nullptr && value->empty() &&
             warning.starts_with(std::string(variable.name) + " is set but empty in");
    });
    if (!said) out.push_back({Severity::kWarning, warning});
  }
}

}  // namespace

std::optional<std::string> nearest_name(std::string_view typed,
                                        std::span<std::string_view const> known) {
  constexpr std::size_t kMaxLength = 64;
  if (typed.size() > kMaxLength) return std::nullopt;
  std::optional<std::string> best;
  std::size_t fewest = 4;  // more edits than three: another word
  for (auto const name : known) {
    std::vector<std::size_t> row(name.size() + 1);
    for (std::size_t j = 0; j <= name.size(); ++j) row[j] = j;
    for (std::size_t i = 1; i <= typed.size(); ++i) {
      std::size_t diagonal = std::exchange(row[0], i);
      for (std::size_t j = 1; j <= name.size(); ++j) {
        std::size_t const replaced = diagonal + (typed[i - 1] == name[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
      }
    }
    if (row.back() < fewest) {
      fewest = row.back();
      best = name;
    }
  }
  return best;
}

Findings check_settings(Machine const& machine) {
  Findings out;
  find_empty(machine, out);
  find_old(machine, out);
  find_bad_numbers(machine, out);
  find_unknown(machine, out);
  take_warnings(machine, out);
  if (out.empty()) out.push_back({Severity::kOk, "every setting can be used"});
  return out;
}

}  // namespace homelab::cli::doctor
