#include "config/settings.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/os/file.h"
#include "base/strings.h"
#include "checks.h"

namespace homelab::config {
namespace {

constexpr std::size_t kMaxTokenFileBytes = 64UL * 1024;

/// $NAME and ${NAME} as Python's expandvars: unset names stay as they stand.
std::string expand_variables(std::string_view text, Lookup const& lookup) {
  std::string out;
  while (!text.empty()) {
    std::size_t const dollar = text.find('$');
    out += text.substr(0, dollar);
    if (dollar == std::string_view::npos) break;
    text.remove_prefix(dollar);
    bool const braced = text.substr(1).starts_with('{');
    std::size_t const begin = braced ? 2 : 1;
    std::size_t end = begin;
    while (end < text.size() &&
           (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '_'))
      ++end;
    std::size_t const used = braced && end < text.size() && text[end] == '}' ? end + 1 : end;
    auto const value = end > begin && (!braced || used == end + 1)
                           ? lookup(std::string(text.substr(begin, end - begin)))
                           : std::nullopt;
    out += value ? *value : std::string(text.substr(0, used));
    text.remove_prefix(used);
  }
  return out;
}

/// Home of another user; empty when there is none.
std::string home_of(std::string const& user) {
  std::array<char, 4096> buffer{};
  passwd entry{};
  passwd* found = nullptr;
  if (user.empty())
    getpwuid_r(getuid(), &entry, buffer.data(), buffer.size(), &found);
  else
    getpwnam_r(user.c_str(), &entry, buffer.data(), buffer.size(), &found);
  return found != nullptr ? std::string(found->pw_dir) : std::string();
}

Value with_name(Value value, std::string_view name) {
  value.origin.detail += (value.origin.detail.empty() ? "" : ", ") + std::string(name);
  return value;
}

}  // namespace

std::string Origin::to_string() const {
  switch (source) {
    case Source::kFlag:
      return "flag " + detail;
    case Source::kEnvironment:
      return detail.empty() ? "environment" : "environment, " + detail;
    case Source::kDotenv:
      return ".env " + detail;
    case Source::kDefault:
      return "default";
  }
  return "default";
}

std::optional<Value> Settings::find(std::string_view name) const {
  auto const found = values_.find(name);
  if (found == values_.end()) return std::nullopt;
  return found->second;
}

std::string Settings::text(std::string_view name) const {
  auto const found = values_.find(name);
  return found == values_.end() ? std::string() : found->second.text;
}

std::string Settings::expand_path(std::string_view text, bool variables) const {
  std::string path(text);
  if (path.starts_with('~')) {
    std::size_t const slash = std::min(path.find('/'), path.size());
    std::string const user = path.substr(1, slash - 1);
    std::string const home = user.empty() ? home_.string() : home_of(user);
    if (!home.empty()) path = home + path.substr(slash);
  }
  if (variables) path = expand_variables(path, lookup_);
  if (path.starts_with('/')) return path;
  return (working_directory_ / path).string();
}

std::string Settings::host() const { return bare_host(text("HOMELAB_LLM_HOST")); }
int Settings::port() const { return whole_number("HOMELAB_LLM_PORT"); }
bool Settings::allow_remote() const {
  return parse_switch(text("HOMELAB_LLM_ALLOW_REMOTE")).value_or(false);
}
std::vector<std::string> Settings::allowed_hosts() const {
  return names("HOMELAB_LLM_ALLOWED_HOSTS");
}
std::vector<std::string> Settings::cors_origins() const {
  return names("HOMELAB_LLM_CORS_ORIGINS");
}

std::filesystem::path Settings::database_path() const {
  return expand_path(text("DATABASE_PATH"), false);
}

Value Settings::primary_root() const {
  if (auto value = find("PRIMARY_CACHE_PATH")) {
    value->text = expand_path(value->text, false);
    return *value;
  }
  if (auto value = find("HF_HOME")) {
    value->text = python_home();
    return with_name(*std::move(value), "HF_HOME");
  }
  if (auto value = find("XDG_CACHE_HOME")) {
    value->text = python_home();
    return with_name(*std::move(value), "XDG_CACHE_HOME");
  }
  return {python_home(), {}};
}

/// What the Hub's Python client takes as HF_HOME (hf-cache rules, §1).
std::string Settings::python_home() const {
  if (auto const value = find("HF_HOME")) return expand_path(value->text, true);
  if (auto const value = find("XDG_CACHE_HOME"))
    return expand_path((std::filesystem::path(value->text) / "huggingface").string(), true);
  return (home_ / ".cache/huggingface").string();
}

Value Settings::secondary_root() const {
  Value value = find("SECONDARY_CACHE_PATH").value_or(Value{});
  value.text = expand_path(value.text, false);
  return value;
}

std::vector<Settings::CustomRoot> Settings::custom_roots() const {
  auto const value = find("CUSTOM_CACHE_PATHS");
  if (!value) return {};
  std::vector<CustomRoot> roots;
  for (auto const& item : parse_custom_roots(value->text).value_or(std::vector<RootItem>()))
    roots.push_back({expand_path(item.path, false), item.limit_gb, value->origin});
  return roots;
}

std::vector<Settings::PathPair> Settings::path_map() const {
  return parse_path_map(text("CACHE_PATH_MAP")).value_or(std::vector<PathPair>());
}

bool Settings::allow_container_layer() const {
  return parse_switch(text("HOMELAB_LLM_ALLOW_CONTAINER_LAYER")).value_or(false);
}

double Settings::reserve_gb() const {
  return parse_number(trim(text("CACHE_RESERVE_GB"))).value_or(0);
}
double Settings::primary_limit_gb() const {
  return parse_number(trim(text("PRIMARY_CACHE_LIMIT_GB"))).value_or(0);
}
double Settings::secondary_limit_gb() const {
  return parse_number(trim(text("SECONDARY_CACHE_LIMIT_GB"))).value_or(0);
}
double Settings::warning_threshold() const {
  return parse_number(trim(text("CACHE_WARNING_THRESHOLD"))).value_or(0);
}

std::optional<Value> Settings::explicit_hub_folder() const {
  if (find("PRIMARY_CACHE_PATH")) return std::nullopt;
  for (std::string_view const name : {"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}) {
    auto value = find(name);
    if (!value) continue;
    value->text = expand_path(value->text, true);
    return with_name(*std::move(value), name);
  }
  return std::nullopt;
}

std::optional<std::string> Settings::hub_token() const {
  for (std::string_view const name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"})
    if (auto token = clean_token(text(name))) return token;
  auto const named = find("HF_TOKEN_PATH");
  std::string const file = named ? expand_path(named->text, true) : python_home() + "/token";
  auto const content = os::read_file(file, kMaxTokenFileBytes);
  if (!content) return std::nullopt;
  auto token = clean_token(*content);
  if (token && !is_sendable_token(*token)) return std::nullopt;
  return token;
}

std::string Settings::hub_endpoint() const {
  std::string url(trim(text("HF_ENDPOINT")));
  while (url.ends_with('/')) url.pop_back();
  return url;
}

bool Settings::offline() const {
  if (auto const value = find("HF_HUB_OFFLINE")) return python_switch(value->text);
  return python_switch(text("TRANSFORMERS_OFFLINE"));
}

bool Settings::symlinks_disabled() const { return python_switch(text("HF_HUB_DISABLE_SYMLINKS")); }

std::optional<std::filesystem::path> Settings::engine_program() const {
  auto const value = find("HOMELAB_LLM_ENGINE");
  if (!value) return std::nullopt;
  return expand_path(value->text, false);
}

std::optional<std::filesystem::path> Settings::engines_file() const {
  auto const value = find("HOMELAB_LLM_ENGINES_FILE");
  if (!value) return std::nullopt;
  return expand_path(value->text, false);
}

bool Settings::engine_sandbox() const {
  return parse_switch(text("HOMELAB_LLM_ENGINE_SANDBOX")).value_or(true);
}

int Settings::whole_number(std::string_view name) const {
  return static_cast<int>(parse_uint(trim(text(name))).value_or(0));
}
int Settings::engine_threads() const { return whole_number("HOMELAB_LLM_THREADS"); }
int Settings::context_tokens() const { return whole_number("HOMELAB_LLM_CONTEXT"); }
int Settings::slots() const { return whole_number("HOMELAB_LLM_SLOTS"); }
int Settings::max_loaded() const { return whole_number("HOMELAB_LLM_MAX_LOADED"); }
std::chrono::seconds Settings::idle_unload() const {
  return std::chrono::seconds(whole_number("HOMELAB_LLM_IDLE_UNLOAD_S"));
}
std::chrono::seconds Settings::hang_time() const {
  return std::chrono::seconds(whole_number("HOMELAB_LLM_HANG_S"));
}
std::vector<std::string> Settings::names(std::string_view setting) const {
  std::vector<std::string> out;
  auto const list = text(setting);
  for (auto const part : split(list, ','))
    if (!trim(part).empty()) out.emplace_back(trim(part));
  return out;
}
std::vector<std::string> Settings::pinned() const { return names("HOMELAB_LLM_PINNED"); }
std::vector<std::string> Settings::preload() const { return names("HOMELAB_LLM_PRELOAD"); }
std::chrono::hours Settings::trash_time() const {
  return std::chrono::hours(whole_number("HOMELAB_LLM_TRASH_HOURS"));
}
std::optional<bool> Settings::log_runs() const {
  return parse_switch(text("HOMELAB_LLM_LOG_RUNS"));
}
std::chrono::days Settings::runs_keep_time() const {
  return std::chrono::days(whole_number("HOMELAB_LLM_RUNS_KEEP_DAYS"));
}
std::int64_t Settings::runs_keep() const { return whole_number("HOMELAB_LLM_RUNS_KEEP"); }
std::optional<int> Settings::gpu_layers() const {
  auto const number = parse_uint(trim(text("HOMELAB_LLM_GPU_LAYERS")));
  return number ? std::optional<int>(static_cast<int>(*number)) : std::nullopt;
}
std::string Settings::log_level() const { return to_lower(trim(text("HOMELAB_LLM_LOG_LEVEL"))); }

std::vector<Settings::Explained> Settings::explain() const {
  std::vector<Explained> rows;
  for (Setting const& row : settings_table()) {
    auto value = find(row.name);
    // The roots are shown as they are used, not as they are written.
    if (row.name == "PRIMARY_CACHE_PATH") value = primary_root();
    if (row.name == "SECONDARY_CACHE_PATH") value = secondary_root();
    if (row.name == "DATABASE_PATH" && value) value->text = database_path().string();
    if (!value)
      rows.push_back({&row, "(not set)", "default"});
    else
      rows.push_back(
          {&row, row.secret ? "(set)" : hide_credentials(value->text), value->origin.to_string()});
  }
  return rows;
}

std::filesystem::path home_folder(Lookup const& environment) {
  auto const home = environment("HOME");
  if (home && !home->empty()) return *home;
  std::string const listed = home_of("");
  return listed.empty() ? "/" : listed;
}

}  // namespace homelab::config
