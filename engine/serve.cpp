#include "serve.h"

#include <fmt/format.h>
#include <llama.h>
#include <log.h>
#include <server-stream.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstring>

#include "back_ends.h"
#include "base/os/file.h"
#include "core_arguments.h"
#include "error_lines.h"
#include "model_seam.h"

// The core's entry point behind its argument parser (tools/server/server.cpp); it has no header.
int llama_server(common_params& params, int argc, char** argv);

namespace homelab::engine_process {
namespace {

/// A socket file left by a killed engine is removed; one that answers belongs to somebody.
Status free_socket(std::string const& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return fail(Code::kInvalidArgument,
                fmt::format("--host {}: a socket path has at most {} characters", path,
                            sizeof address.sun_path - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  // The socket interface is built on this cast.
  auto const* generic = reinterpret_cast<sockaddr const*>(&address);
  os::UniqueFd const probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return fail_errno("--host", path, errno);
  struct stat info{};
  if (::lstat(path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode))
      return fail(Code::kAlreadyExists, fmt::format("--host {}: exists and is not a socket", path));
    if (::connect(probe.get(), generic, sizeof address) == 0)
      return fail(Code::kAlreadyExists,
                  fmt::format("--host {}: another program listens there", path));
    RETURN_IF_ERROR(os::remove_file(path));
  }
  // The core would only say that it could not bind; this says why.
  if (::bind(probe.get(), generic, sizeof address) != 0) return fail_errno("--host", path, errno);
  return os::remove_file(path);
}

Status free_sockets(common_params const& params) {
  for (auto const& host : params.hostnames)
    if (host.ends_with(".sock")) RETURN_IF_ERROR(free_socket(host));
  return {};
}

/// Told to stop before the core listens for that (it does once its model is loaded): there is
/// nothing to end in order.
void end_at_once(int) { ::_exit(0); }

int run_core(common_params& params) {
  std::string name = "homelab-llm-engine";
  char* argv[] = {name.data(), nullptr};
  return llama_server(params, 1, argv);
}

}  // namespace

Status serve(std::vector<std::string> const& arguments) {
  std::setlocale(LC_NUMERIC, "C");  // NOLINT(concurrency-mt-unsafe): no thread yet
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGINT, end_at_once);
  ::signal(SIGTERM, end_at_once);
  common_init();
  ErrorLines const errors;
  RETURN_IF_ERROR(load_back_ends());
  ASSIGN_OR_RETURN(common_params params, parse_core_arguments(arguments));
  RETURN_IF_ERROR(prepare_model(params.model.path));
  RETURN_IF_ERROR(free_sockets(params));
  // The socket and whatever else the core makes is for this user alone.
  ::umask(S_IRWXG | S_IRWXO);

  server_stream_session_manager_start();
  llama_backend_init();
  llama_numa_init(params.numa);
  int result = 1;
  std::string thrown;
  try {
    result = run_core(params);
  } catch (std::exception const& error) {
    thrown = error.what();
  }
  common_log_flush(common_log_main());
  for (auto const& host : params.hostnames)
    if (host.ends_with(".sock")) (void)::unlink(host.c_str());
  if (result == 0) return {};
  if (!thrown.empty()) return fail(Code::kInternal, thrown);
  std::string reason = last_load_error();
  if (reason.empty()) reason = errors.reason();
  return fail(Code::kFailedPrecondition,
              reason.empty() ? "the engine could not start; its last messages are above" : reason);
}

}  // namespace homelab::engine_process
