#include "engine/sandbox_report.h"

#include "base/json.h"

namespace homelab::engine {

std::optional<SandboxReport> parse_sandbox_report(std::string_view line) {
  if (!line.starts_with(kSandboxMark)) return std::nullopt;
  auto const value = parse_json(line.substr(kSandboxMark.size()));
  auto const* const fields = value ? value->if_object() : nullptr;
  if (fields == nullptr) return std::nullopt;
  auto const holds = [&](std::string_view name) { return get_bool(*fields, name).value_or(false); };
  SandboxReport report;
  report.no_new_privileges = holds("no_new_privileges");
  report.no_tracing = holds("no_tracing");
  report.few_capabilities = holds("few_capabilities");
  report.seccomp = holds("seccomp");
  report.landlock = static_cast<int>(get_int(*fields, "landlock").value_or(0));
  return report;
}

}  // namespace homelab::engine
