// Checks before the service starts: the engine program and the folder for sockets and logs.
#include <fmt/format.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/os/file.h"
#include "base/strings.h"
#include "service.h"

namespace homelab::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxCommands = 4096;
/// sun_path holds 108 bytes with the final zero.
constexpr std::size_t kSocketPathLimit = 107;
constexpr std::string_view kLongestName = "/4194304-18446744073709551615.sock";

Status check_program(fs::path const& program) {
  if (::access(program.c_str(), X_OK) == 0 && fs::is_regular_file(program)) return {};
  return fail(Code::kNotFound, fmt::format("the engine program {} does not exist or cannot be "
                                           "executed; build it with `make build`, or "
                                           "name another one with HOMELAB_LLM_ENGINE",
                                           program.string()));
}

bool is_gone(std::string const& file_name) {
  auto const pid = parse_uint(file_name.substr(0, file_name.find('-')));
  return pid && *pid > 0 && *pid < (1ULL << 31U) && ::kill(static_cast<pid_t>(*pid), 0) != 0 &&
         errno == ESRCH;
}

/// Sockets and logs of servers that were killed.
void remove_leftovers(fs::path const& folder) {
  std::error_code error;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end;
       entry.increment(error)) {
    std::string const name = entry->path().filename().string();
    auto const extension = entry->path().extension();
    bool const ours = extension == ".sock" || extension == ".log" || extension == ".old" ||
                      extension == ".describe";
    std::error_code ignored;  // another server may be doing the same
    if (ours && is_gone(name)) fs::remove(entry->path(), ignored);
  }
}

Status prepare_folder(fs::path const& folder) {
  if (folder.string().size() + kLongestName.size() > kSocketPathLimit) {
    return fail(Code::kInvalidArgument,
                fmt::format("the runtime folder {} is too long for socket paths: at most {} bytes",
                            folder.string(), kSocketPathLimit - kLongestName.size()));
  }
  RETURN_IF_ERROR(os::make_folders(folder));
  // Who can reach a socket can use the engine.
  if (::chmod(folder.c_str(), 0700) != 0) return fail_errno("protect", folder.string(), errno);
  remove_leftovers(folder);
  return {};
}

}  // namespace

Result<std::unique_ptr<EngineService>> EngineService::create(Options options,
                                                             Dependencies dependencies) {
  RETURN_IF_ERROR(check_program(options.program));
  RETURN_IF_ERROR(prepare_folder(options.runtime_folder));
  Service::Threads threads;
  ASSIGN_OR_RETURN(threads.loop, ServiceLoop::create(kMaxCommands));
  ASSIGN_OR_RETURN(threads.loader, ServiceLoop::create(kMaxCommands));
  ASSIGN_OR_RETURN(threads.stopper, ServiceLoop::create(kMaxCommands));
  return std::unique_ptr<EngineService>(
      std::make_unique<Service>(std::move(options), dependencies, std::move(threads)));
}

}  // namespace homelab::engine
