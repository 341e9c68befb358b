// doctor, engine: does its program run, and what could it compute on.
#include <fmt/format.h>

#include <filesystem>

#include "base/os/process.h"
#include "checks.h"

namespace homelab::cli::doctor {
namespace {

Finding program_finding(Machine const& machine) {
  auto const named = machine.settings.engine_program();
  cache::Path const program = named ? *named : os::self_path().parent_path() / "homelab-llm-engine";
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

}  // namespace

Findings check_engine(Machine const& machine) {
  return {program_finding(machine), device_finding()};
}

}  // namespace homelab::cli::doctor
