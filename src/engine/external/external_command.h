#pragma once
// From an engine of the file to a command that can be started. Pure but free_port() and is_taken().
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "engine/external_engine.h"
#include "placeholders.h"

namespace homelab::engine {

struct ExternalCommand {
  std::string program;  ///< as the file names it
  std::vector<std::string> arguments;
  std::vector<std::pair<std::string, std::string>> environment;
  std::string model;  ///< the model's name there; empty = to be found out
};
/// Errors: those of fill_in(), with the argument concerned.
[[nodiscard]] Result<ExternalCommand> fill_in_command(ExternalEngine const& engine,
                                                      Words const& words);

/// A TCP port of 127.0.0.1 that nobody has at this moment.
[[nodiscard]] Result<int> free_port();
/// Whether somebody listens on this port of 127.0.0.1.
[[nodiscard]] bool is_taken(int port);

}  // namespace homelab::engine
