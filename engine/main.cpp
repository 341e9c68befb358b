// homelab-llm-engine: serves one model with llama.cpp's server core on a Unix socket.
#include <fmt/format.h>
#include <llama.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "back_ends.h"
#include "base/json.h"
#include "base/result.h"
#include "base/strings.h"
#include "confinement.h"
#include "core_arguments.h"
#include "describe.h"
#include "load_quantisation.h"
#include "model_seam.h"
#include "sandbox/self_check.h"
#include "serve.h"

namespace homelab::engine_process {
namespace {

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kWrongUsage = 2;

constexpr char kUsage[] =
    "usage: homelab-llm-engine [--lifeline-fd N] [--load-quantized TYPE] [--sandbox on|off] -m "
    "MODEL "
    "--host SOCKET.sock [llama-server arguments]\n"
    "       homelab-llm-engine describe PATH [--sandbox on|off]\n"
    "       homelab-llm-engine check-sandbox\n"
    "       homelab-llm-engine version\n"
    "\n"
    "MODEL is a .gguf file (the first shard of a split one) or a folder with config.json, "
    "tokenizer.json and\n"
    "safetensors. Serves it until SIGTERM, or until the other end of descriptor N is closed. TYPE "
    "(Q8_0, Q4_K, ...)\n"
    "is what the weights of safetensors become in memory.\n";

/// The promise to whoever reads our log: the last line says why.
int report(Error const& error) {
  std::fflush(stdout);
  std::string line = error.message;
  for (char& c : line)
    if (c == '\n' || c == '\r') c = ' ';
  fmt::print(stderr, "error: {}\n", trim(line));
  std::fflush(stderr);
  return kFailed;
}

Status print_version() {
  ggml_log_set([](ggml_log_level, char const*, void*) {}, nullptr);
  RETURN_IF_ERROR(load_back_ends());
  json::array devices;
  for (auto const& back_end : back_ends()) {
    devices.push_back(json::object{{"name", back_end.name},
                                   {"description", back_end.description},
                                   {"library", back_end.library}});
  }
  json::object const about = {{"version", HOMELAB_VERSION},
                              {"llama_cpp", llama_version()},
                              {"default_threads", default_threads()},
                              {"back_ends", devices}};
  fmt::print("{}\n", json::serialize(about));
  return {};
}

int describe_command(std::string const& path, bool sandbox) {
  ggml_log_set([](ggml_log_level, char const*, void*) {}, nullptr);
  if (sandbox) {
    if (auto const state = confine({path}, {}); !state) return report(state.error());
  }
  auto description = describe(path);
  if (!description) return report(description.error());
  (*description)["llama_cpp"] = llama_version();
  fmt::print("{}\n", json::serialize(*description));
  return kDone;
}

/// Enters the sandbox as serving does, and tries what must not be possible there.
int check_sandbox() {
  auto const state = confine({}, {});
  if (!state) return report(state.error());
  fmt::print("{}\n", json::serialize(
                         json::object{{"sandbox", to_json(*state)}, {"refused", try_forbidden()}}));
  return kDone;
}

/// Takes `NAME VALUE` out of `arguments`; such options are ours, not llama-server's. nullopt: it is
/// not there.
Result<std::optional<std::string>> take_option(std::vector<std::string>& arguments,
                                               std::string_view name) {
  auto const found = std::find(arguments.begin(), arguments.end(), name);
  if (found == arguments.end()) return std::optional<std::string>();
  if (found + 1 == arguments.end())
    return fail(Code::kInvalidArgument, fmt::format("{}: expected a value", name));
  auto value = std::optional(*(found + 1));
  arguments.erase(found, found + 2);
  return value;
}

Status take_lifeline(std::vector<std::string>& arguments, ServeOptions& options) {
  ASSIGN_OR_RETURN(auto const value, take_option(arguments, "--lifeline-fd"));
  if (!value) return {};
  auto const number = parse_uint(*value);
  if (!number || *number > 1'000'000)
    return fail(Code::kInvalidArgument, "--lifeline-fd: expected a descriptor number");
  options.lifeline_fd = static_cast<int>(*number);
  return {};
}

Result<bool> take_sandbox(std::vector<std::string>& arguments) {
  ASSIGN_OR_RETURN(auto const value, take_option(arguments, "--sandbox"));
  if (!value || *value == "on") return true;
  if (*value == "off") return false;
  return fail(Code::kInvalidArgument, "--sandbox: expected on or off");
}

Status take_quantisation(std::vector<std::string>& arguments) {
  ASSIGN_OR_RETURN(auto const value, take_option(arguments, "--load-quantized"));
  if (!value) return {};
  ASSIGN_OR_RETURN(auto quantisation, parse_quantisation(*value));
  set_load_quantisation(std::move(quantisation));
  return {};
}

int serve_command(std::vector<std::string> arguments) {
  ServeOptions options;
  if (auto status = take_lifeline(arguments, options); !status) return report(status.error());
  auto const sandbox = take_sandbox(arguments);
  if (!sandbox) return report(sandbox.error());
  options.sandbox = *sandbox;
  if (auto status = take_quantisation(arguments); !status) return report(status.error());
  int code = kDone;
  if (auto status = serve(arguments, options); !status) code = report(status.error());
  // Threads of the core may still hold its globals: their destructors are not worth a crash at the
  // end.
  std::fflush(nullptr);
  std::_Exit(code);
}

int run(std::vector<std::string> arguments) {
  if (arguments.empty() || arguments[0] == "--help" || arguments[0] == "-h") {
    std::fputs(kUsage, arguments.empty() ? stderr : stdout);
    return arguments.empty() ? kWrongUsage : kDone;
  }
  settle_environment();
  if (arguments[0] == "version") {
    auto const status = print_version();
    return status ? kDone : report(status.error());
  }
  if (arguments[0] == "check-sandbox") return check_sandbox();
  if (arguments[0] == "describe") {
    auto const sandbox = take_sandbox(arguments);
    if (!sandbox || arguments.size() != 2) {
      std::fputs(kUsage, stderr);
      return kWrongUsage;
    }
    return describe_command(arguments[1], *sandbox);
  }
  return serve_command(std::move(arguments));
}

}  // namespace
}  // namespace homelab::engine_process

int main(int argc, char** argv) {
  try {
    return homelab::engine_process::run(std::vector<std::string>(argv + 1, argv + argc));
  } catch (std::exception const& error) {
    return homelab::engine_process::report({homelab::Code::kInternal, error.what()});
  }
}
