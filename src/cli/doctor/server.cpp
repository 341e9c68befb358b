// doctor, server: its address and its database.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>

#include "base/os/file.h"
#include "cache/disk_facts.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

Finding port_finding(Machine const& machine) {
  std::string const host = machine.settings.host();
  int const port = machine.settings.port();
  std::string const where = fmt::format("{}:{}", host, port);
  switch (machine.use_of_port(host, port)) {
    case PortUse::kFree:
      return {Severity::kOk, where + " is free for the server"};
    case PortUse::kOurServer:
      return {Severity::kOk, "the server answers at " + where};
    case PortUse::kSomethingElse:
      return {Severity::kError, where + " is taken by another program, so the server cannot listen",
              fmt::format("homelab-llm serve --port {}", port < 65535 ? port + 1 : 8000)};
    case PortUse::kNotOurAddress:
      break;
  }
  return {Severity::kError, where + " is no address of this machine", "HOMELAB_LLM_HOST=127.0.0.1"};
}

Finding database_content(cache::Path const& file) {
  constexpr std::string_view kHead("SQLite format 3\0", 16);
  constexpr std::size_t kHeadBytes = 100;
  auto const opened = os::open_file(file, O_RDONLY | O_NONBLOCK);
  std::string const shown = file.string();
  if (!opened)
    return {Severity::kError, "the registry cannot be read: " + opened.error().message,
            fmt::format("chmod u+rw {}", shell_word(shown))};
  std::string head(kHeadBytes, '\0');
  ssize_t const got = ::pread(opened->get(), head.data(), head.size(), 0);
  if (got == 0) return {Severity::kOk, "the registry " + shown + " is empty"};
  if (got != static_cast<ssize_t>(head.size()) || !head.starts_with(kHead))
    return {Severity::kError, shown + " is no SQLite database, but DATABASE_PATH names it",
            fmt::format("mv {0} {0}.broken", shell_word(shown))};
  return {Severity::kOk, "the registry " + shown + " is a database"};
}

Finding database_finding(Machine const& machine) {
  cache::Path const file = machine.settings.database_path();
  if (auto const answer = machine.ask_server(); answer) {
    return {Severity::kOk, "the server reads its registry"};
  } else if (answer.error().code != Code::kUnavailable) {
    return {Severity::kError, "the server cannot read its registry: " + answer.error().message,
            "homelab-llm ps"};
  }
  cache::Path const folder = file.parent_path().empty() ? cache::Path(".") : file.parent_path();
  auto const state = cache::look_at_folder(folder);
  std::string const shown = folder.string();
  if (state.state == cache::FolderState::State::kDegraded)
    return {Severity::kError,
            fmt::format("DATABASE_PATH's folder {} cannot be used: {}", shown, state.reason),
            fmt::format("DATABASE_PATH={}", shell_word("/a/folder/you/own/models.db"))};
  std::error_code error;
  if (!std::filesystem::exists(file, error))
    return {Severity::kOk, "the registry will be made at " + file.string()};
  if (::access(file.c_str(), W_OK) != 0)
    return {Severity::kError, "this user may not write the registry " + file.string(),
            fmt::format("sudo chown \"$(id -u):$(id -g)\" {}", shell_word(file.string()))};
  return database_content(file);
}

}  // namespace

Findings check_server(Machine const& machine) {
  return {port_finding(machine), database_finding(machine)};
}

}  // namespace homelab::cli::doctor
