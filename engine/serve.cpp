#include "serve.h"

#include <fmt/format.h>
#include <llama.h>
#include <log.h>
#include <server-stream.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <filesystem>
#include <utility>

#include "back_ends.h"
#include "confinement.h"
#include "core_arguments.h"
#include "error_lines.h"
#include "lifeline.h"
#include "model_seam.h"
#include "own_socket.h"

// The core's entry point behind its argument parser (tools/server/server.cpp); it has no header.
int llama_server(common_params& params, int argc, char** argv);

namespace homelab::engine_process {
namespace {

Status enter(std::vector<std::string> const& arguments) {
  std::vector<Path> folders;
  for (auto const& path : socket_paths(arguments))
    folders.push_back(std::filesystem::absolute(path).parent_path());
  auto const state = confine(arguments, std::move(folders));
  if (!state) return fail(state.error());
  fmt::print(stderr, "{}\n", report_line(*state));
  std::fflush(stderr);
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

Status serve(std::vector<std::string> const& arguments, ServeOptions const& options) {
  std::setlocale(LC_NUMERIC, "C");  // NOLINT(concurrency-mt-unsafe): no thread yet
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGINT, end_at_once);
  ::signal(SIGTERM, end_at_once);
  // The socket and whatever else the core makes is for this user alone.
  ::umask(S_IRWXG | S_IRWXO);
  // Back ends load drivers, which look around more than an engine may later.
  RETURN_IF_ERROR(load_back_ends());
  ASSIGN_OR_RETURN(auto const sockets, OwnSockets::bind(socket_paths(arguments)));
  if (options.sandbox) RETURN_IF_ERROR(enter(arguments));
  // Threads from here on: what was started before would not be in the sandbox.
  if (options.lifeline_fd) RETURN_IF_ERROR(watch_lifeline(*options.lifeline_fd));
  common_init();
  ErrorLines const errors;
  ASSIGN_OR_RETURN(common_params params, parse_core_arguments(arguments));
  RETURN_IF_ERROR(prepare_model(params.model.path));

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
  if (result == 0) return {};
  if (!thrown.empty()) return fail(Code::kInternal, thrown);
  std::string reason = last_load_error();
  if (reason.empty()) reason = errors.reason();
  return fail(Code::kFailedPrecondition,
              reason.empty() ? "the engine could not start; its last messages are above" : reason);
}

}  // namespace homelab::engine_process
