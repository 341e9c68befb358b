#include "settings_loader.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/os/file.h"
#include "base/strings.h"
#include "checks.h"
#include "config/python_cache.h"

namespace homelab::config {
namespace {

constexpr std::size_t kMaxDotenvBytes = 1024UL * 1024;

/// What the Hub's Python client makes of a variable that is set and empty (hf-cache rules, §1).
std::string_view python_reads_empty(std::string_view name) {
  if (name == "HF_HOME") return "Python would use the folder 'hub' in the working directory";
  if (name == "HF_HUB_CACHE" || name == "HUGGINGFACE_HUB_CACHE")
    return "Python would use the working directory itself as the cache";
  if (name == "XDG_CACHE_HOME")
    return "Python would use the folder 'huggingface/hub' in the working directory";
  if (name == "HF_ENDPOINT") return "Python would send every request to an empty address and fail";
  return {};
}

bool is_path(std::string_view name) {
  static constexpr std::array<std::string_view, 10> kPaths{
      "PRIMARY_CACHE_PATH", "SECONDARY_CACHE_PATH",    "DATABASE_PATH",  "HF_HOME",
      "HF_HUB_CACHE",       "HUGGINGFACE_HUB_CACHE",   "XDG_CACHE_HOME", "HF_TOKEN_PATH",
      "HOMELAB_LLM_ENGINE", "HOMELAB_LLM_ENGINES_FILE"};
  return std::find(kPaths.begin(), kPaths.end(), name) != kPaths.end();
}

Setting const* row_named(std::string_view name) {
  auto const table = settings_table();
  auto const found = std::find_if(table.begin(), table.end(),
                                  [&](Setting const& row) { return row.name == name; });
  return found == table.end() ? nullptr : &*found;
}

}  // namespace

Result<Settings> Settings::load(SettingsInput input) {
  return SettingsLoader(std::move(input)).load();
}

SettingsLoader::SettingsLoader(SettingsInput input) : input_(std::move(input)) {
  if (!input_.environment) input_.environment = process_variable;
}

Result<Settings> SettingsLoader::load() {
  std::error_code error;
  settings_.working_directory_ = input_.working_directory.empty()
                                     ? std::filesystem::current_path(error)
                                     : input_.working_directory;
  if (error) return fail_errno("find", "the working directory", error.value());
  settings_.home_ = home_folder(input_.environment);
  RETURN_IF_ERROR(check_flags());
  RETURN_IF_ERROR(read_dotenv());
  settings_.lookup_ = [environment = input_.environment,
                       file = from_file_](std::string const& name) {
    auto value = environment(name);
    if (auto const found = file.find(name); !value && found != file.end())
      value = found->second.text;
    return value;
  };
  for (Setting const& row : settings_table()) RETURN_IF_ERROR(take(row));
  RETURN_IF_ERROR(check_remote());
  warn_about_switch("HF_HUB_OFFLINE");
  warn_about_switch("TRANSFORMERS_OFFLINE");
  warn_about_switch("HF_HUB_DISABLE_SYMLINKS");
  warn_about_file_names();
  warn_about_token_file();
  warn_about_second_cache();
  return std::move(settings_);
}

Status SettingsLoader::check_flags() const {
  for (auto const& [name, value] : input_.flags) {
    Setting const* const row = row_named(name);
    if (row == nullptr)
      return fail(Code::kInvalidArgument,
                  fmt::format("there is no setting named '{}'; see --help", name));
    if (value.empty()) {
      return fail(Code::kInvalidArgument,
                  fmt::format("{} was given an empty value; leave the flag out to use the default",
                              row->flag.empty() ? row->name : row->flag));
    }
  }
  return {};
}

Status SettingsLoader::read_dotenv() {
  std::filesystem::path file = input_.dotenv_file.value_or(".env");
  if (file.is_relative()) file = settings_.working_directory_ / file;
  std::error_code error;
  auto const kind = std::filesystem::status(file, error).type();
  if (!input_.dotenv_file) {
    if (kind == std::filesystem::file_type::not_found) return {};
    if (kind == std::filesystem::file_type::directory) {
      warn(fmt::format("{} is a folder, so no .env file is read", file.string()));
      return {};
    }
  }
  auto const text = os::read_file(file, kMaxDotenvBytes);
  if (!text) return fail(Error(text.error()).in("the .env file"));
  std::vector<std::string> warnings;
  auto entries = parse_dotenv(*text, input_.environment, &warnings);
  if (!entries) return fail(std::move(entries).error().in(file.string()));
  for (auto& warning : warnings) warn(fmt::format("{} {}", file.string(), warning));
  for (auto& entry : *entries)
    from_file_.insert_or_assign(entry.key, FileValue{std::move(entry.value), entry.line});
  file_ = file.string();
  return {};
}

/// The strongest source that gives a value. `skipped` names a source in which the setting stands
/// empty.
std::optional<Value> SettingsLoader::first_source(Setting const& row, std::string& skipped) const {
  std::string const name(row.name);
  if (auto const flag = input_.flags.find(name); flag != input_.flags.end())
    return Value{flag->second,
                 {Source::kFlag, std::string(row.flag.empty() ? row.name : row.flag)}};
  if (auto value = input_.environment(name)) {
    if (!value->empty()) return Value{*std::move(value), {Source::kEnvironment, ""}};
    skipped = "the environment";
  }
  if (auto const found = from_file_.find(name); found != from_file_.end()) {
    Origin origin{Source::kDotenv, fmt::format("line {} ({})", found->second.line, file_)};
    if (!found->second.text.empty()) return Value{found->second.text, std::move(origin)};
    if (skipped.empty()) skipped = origin.to_string();
  }
  if (!row.fallback.empty()) return Value{std::string(row.fallback), {}};
  return std::nullopt;
}

Status SettingsLoader::take(Setting const& row) {
  std::string skipped;
  auto value = first_source(row, skipped);
  if (!skipped.empty()) warn_about_empty(row, skipped, value);
  if (!value) return {};
  RETURN_IF_ERROR(check_value(row, *value));
  settings_.values_.emplace(row.name, *std::move(value));
  if (is_path(row.name)) warn_about_path(row.name);
  return {};
}

void SettingsLoader::warn_about_empty(Setting const& row, std::string const& where,
                                      std::optional<Value> const& used) {
  bool const from_below = used && used->origin.source == Source::kDotenv;
  std::string_view const python = python_reads_empty(row.name);
  // An empty token means "no token" to everybody, and compose files set it so on purpose.
  if (row.secret && !from_below) return;
  std::string text =
      fmt::format("{} is set but empty in {}; it counts as not set", row.name, where);
  if (from_below) text += fmt::format(", so the value of {} is used", used->origin.to_string());
  if (!python.empty()) text += fmt::format(" ({}; remove the variable)", python);
  warn(text);
}

void SettingsLoader::warn_about_switch(std::string_view name) {
  auto const value = settings_.find(name);
  if (value && !parse_switch(value->text)) {
    warn(fmt::format("{} is '{}' (from {}), which counts as false; write 1 or 0", name, value->text,
                     value->origin.to_string()));
  }
}

void SettingsLoader::warn_about_path(std::string_view name) {
  auto const value = settings_.find(name);
  if (!value || value->origin.source == Source::kDefault) return;
  std::string const& text = value->text;
  if (text.starts_with('~')) {
    if (value->origin.source == Source::kDotenv) {
      warn(
          fmt::format("{} begins with '~' (from {}); docker compose keeps it as it stands, so "
                      "write the whole path",
                      name, value->origin.to_string()));
    }
  } else if (!text.starts_with('/') && !text.starts_with('$') && name != "DATABASE_PATH") {
    warn(
        fmt::format("{} is the relative path '{}' (from {}); it is taken as {}, and changes with "
                    "the folder the "
                    "program is started in",
                    name, text, value->origin.to_string(), settings_.expand_path(text, false)));
  }
  if (text.ends_with(' ') || text.starts_with(' '))
    warn(fmt::format("{} begins or ends with a blank (from {})", name, value->origin.to_string()));
}

void SettingsLoader::warn_about_file_names() {
  for (auto const& [name, value] : from_file_) {
    if (name.starts_with("HOMELAB_LLM_") && row_named(name) == nullptr)
      warn(fmt::format("{} line {}: there is no setting {}", file_, value.line, name));
  }
}

void SettingsLoader::warn_about_token_file() {
  auto const named = settings_.find("HF_TOKEN_PATH");
  if (named && !settings_.hub_token()) {
    warn(fmt::format("HF_TOKEN_PATH (from {}) names a file that holds no readable token: {}",
                     named->origin.to_string(), named->text));
  }
}

/// Python scripts beside the server do not know PRIMARY_CACHE_PATH; they must end up in the same
/// folder.
void SettingsLoader::warn_about_second_cache() {
  auto const primary = settings_.find("PRIMARY_CACHE_PATH");
  if (!primary) return;
  std::filesystem::path const ours = std::filesystem::path(settings_.primary_root().text) / "hub";
  for (std::string_view const name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME"}) {
    auto const value = settings_.find(name);
    if (!value) continue;
    std::filesystem::path theirs = settings_.expand_path(value->text, true);
    if (name == "HF_HOME") theirs /= "hub";
    std::error_code ignored;
    if ((theirs / "").lexically_normal() == (ours / "").lexically_normal() ||
        std::filesystem::equivalent(theirs, ours, ignored))
      return;
    warn(
        fmt::format("{} (from {}) sends Python scripts to {}, but PRIMARY_CACHE_PATH (from {}) "
                    "this server to {}; unless "
                    "these are two names of one folder, models are stored twice",
                    name, value->origin.to_string(), theirs.string(), primary->origin.to_string(),
                    ours.string()));
    return;
  }
}

Status SettingsLoader::check_remote() const {
  std::string const host = settings_.host();
  if (is_loopback(host) || settings_.allow_remote()) return {};
  auto const origin = settings_.find("HOMELAB_LLM_HOST").value_or(Value{}).origin.to_string();
  return fail(Code::kInvalidArgument,
              fmt::format("HOMELAB_LLM_HOST is '{}' (from {}), which other machines can reach, and "
                          "there is no API key "
                          "protection yet; expected 127.0.0.1, or --allow-remote "
                          "(HOMELAB_LLM_ALLOW_REMOTE=true) to "
                          "open it without protection",
                          host, origin));
}

}  // namespace homelab::config
