#pragma once
// From flags, environment and .env to Settings: precedence, validation, warnings.
#include <filesystem>
#include <map>
#include <optional>
#include <string>

#include "config/settings.h"

namespace homelab::config {

/// HOME, else the user database, else "/".
[[nodiscard]] std::filesystem::path home_folder(Lookup const& environment);

/// Fills one Settings object; used once.
class SettingsLoader {
 public:
  explicit SettingsLoader(SettingsInput input);
  [[nodiscard]] Result<Settings> load();

 private:
  struct FileValue {
    std::string text;
    int line;
  };
  Status read_dotenv();
  Status take(Setting const& row);
  [[nodiscard]] std::optional<Value> first_source(Setting const& row, std::string& skipped) const;
  Status check_flags() const;
  Status check_remote() const;
  void warn_about_empty(Setting const& row, std::string const& where,
                        std::optional<Value> const& used);
  void warn_about_switch(std::string_view name);
  void warn_about_path(std::string_view name);
  void warn_about_file_names();
  void warn_about_token_file();
  void warn_about_second_cache();
  void warn(std::string text) { settings_.warnings_.push_back(std::move(text)); }

  SettingsInput input_;
  Settings settings_;
  std::string file_;  ///< the .env file that was read; empty if none
  std::map<std::string, FileValue, std::less<>> from_file_;
};

}  // namespace homelab::config
