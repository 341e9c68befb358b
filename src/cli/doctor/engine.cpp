// doctor, engine: does its program run, and what could it compute on.
#include <fmt/format.h>

#include <filesystem>

#include "base/json.h"
#include "base/os/process.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

cache::Path program_of(Machine const& machine) {
  auto const named = machine.settings.engine_program();
  return named ? *named : os::self_path().parent_path() / "homelab-llm-engine";
}

Finding program_finding(Machine const& machine) {
  cache::Path const program = program_of(machine);
  std::error_code error;
  if (!std::filesystem::exists(program, error))
    return {Severity::kError, fmt::format("the engine's program {} is missing", program.string()),
            "HOMELAB_LLM_ENGINE=/path/to/homelab-llm-engine"};
  auto const version = machine.program_version(program);
  if (!version)
    return {Severity::kError,
            fmt::format("the engine's program {} does not run: {}", program.string(),
                        version.error().message),
            fmt::format("{} version", shell_word(program.string()))};
  return {Severity::kOk, fmt::format("the engine runs: {}", program.string())};
}

/// Devices that a back end could use; that they are there does not mean that a driver is.
Finding device_finding() {
  std::string found;
  std::error_code error;
  for (auto const* name : {"/dev/nvidia0", "/dev/nvidiactl", "/dev/kfd", "/dev/dri", "/dev/dxg"}) {
    if (std::filesystem::exists(name, error)) found += std::string(found.empty() ? "" : " ") + name;
  }
  if (found.empty()) return {Severity::kInfo, "no GPU device is visible; models run on the CPU"};
  return {Severity::kInfo, "GPU devices are visible: " + found};
}

/// What the kernel lacks of it, by the engine's own trial.
std::string missing_in(json::object const& sandbox) {
  std::string missing;
  for (auto const& [name, holds] : sandbox) {
    bool const has = name == "landlock" ? get_int(sandbox, name).value_or(0) > 0
                                        : holds.is_bool() && holds.get_bool();
    if (!has) missing += (missing.empty() ? "" : ", ") + std::string(name);
  }
  return missing;
}

Finding sandbox_finding(Machine const& machine) {
  if (!machine.settings.engine_sandbox())
    return {Severity::kWarning, "engines run with the server's rights: the sandbox is switched off",
            "HOMELAB_LLM_ENGINE_SANDBOX=on"};
  if (!machine.sandbox_check) return {Severity::kInfo, "the engine's sandbox was not looked at"};
  auto const line = machine.sandbox_check(program_of(machine));
  auto const answer = line ? parse_json(*line) : Result<json::value>(fail(line.error()));
  auto const* const fields = answer ? answer->if_object() : nullptr;
  auto const* const sandbox = fields ? fields->if_contains("sandbox") : nullptr;
  if (sandbox == nullptr || !sandbox->is_object())
    return {Severity::kWarning,
            fmt::format("the engine's sandbox cannot be looked at: {}",
                        answer ? "its program did not say" : answer.error().message),
            fmt::format("{} check-sandbox", shell_word(program_of(machine).string()))};
  std::string const missing = missing_in(sandbox->get_object());
  if (missing.empty())
    return {Severity::kOk,
            "engines run without network, other programs, and files that are not their model's"};
  return {Severity::kWarning,
          "the kernel does not give engines a whole sandbox; missing: " + missing,
          "use a kernel with seccomp and Landlock (5.13 or newer, lsm=landlock,... at boot)"};
}

}  // namespace

Findings check_engine(Machine const& machine) {
  auto program = program_finding(machine);
  Findings findings{program, device_finding()};
  if (program.severity == Severity::kOk) findings.push_back(sandbox_finding(machine));
  return findings;
}

}  // namespace homelab::cli::doctor
