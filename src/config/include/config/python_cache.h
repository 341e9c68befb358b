#pragma once
// Which hub folder Python's huggingface_hub would use in an environment (hf-cache rules, §1). Pure.
// Python reads the environment only, never a .env file.
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace homelab::config {

/// Value of an environment variable; empty text when it is set to nothing, nullopt when not set.
using Variable = std::function<std::optional<std::string>(std::string const& name)>;

struct PythonCache {
  std::filesystem::path hub_folder;  ///< relative when the variables make it so
  std::string why;                   ///< "HF_HOME", "the default", ...
};
[[nodiscard]] PythonCache python_cache(Variable const& variable);

/// The environment of this process.
[[nodiscard]] std::optional<std::string> process_variable(std::string const& name);

}  // namespace homelab::config
