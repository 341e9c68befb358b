#include "confinement.h"

#include <system_error>
#include <utility>

#include "back_ends.h"
#include "base/strings.h"

namespace homelab::engine_process {
namespace {

/// Several of llama-server's options take a list.
void add_named(std::vector<Path>& paths, std::string const& argument) {
  for (auto const part : split(argument, ',')) {
    Path const path{std::string(trim(part))};
    std::error_code ignored;
    if (!path.empty() && std::filesystem::exists(path, ignored)) paths.push_back(path);
  }
}

}  // namespace

Result<SandboxState> confine(std::vector<std::string> const& arguments,
                             std::vector<Path> removable) {
  SandboxNeeds needs{{}, std::move(removable)};
  ASSIGN_OR_RETURN(auto libraries, library_folder());
  needs.readable.push_back(std::move(libraries));
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    // A name that people give, which may look like a path.
    bool const is_alias = i > 0 && (arguments[i - 1] == "--alias" || arguments[i - 1] == "-a");
    if (!is_alias) add_named(needs.readable, arguments[i]);
    // A path may have commas, too.
    std::error_code ignored;
    if (!is_alias && arguments[i].find(',') != std::string::npos &&
        std::filesystem::exists(arguments[i], ignored))
      needs.readable.emplace_back(arguments[i]);
  }
  return enter_sandbox(needs);
}

}  // namespace homelab::engine_process
