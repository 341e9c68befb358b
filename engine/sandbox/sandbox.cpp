#include "sandbox/sandbox.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstdint>

#include "sandbox/file_rules.h"
#include "sandbox/system_call_filter.h"

namespace homelab::engine_process {
namespace {

/// Of root's rights those that reading anybody's files, opening devices and keeping memory take;
/// inheritable ones go, too. Also right for a user who has none.
bool keep_few_capabilities() {
  constexpr std::uint32_t kKept =
      1U << CAP_DAC_OVERRIDE | 1U << CAP_DAC_READ_SEARCH | 1U << CAP_IPC_LOCK | 1U << CAP_SYS_NICE;
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return false;
  data[0] = {data[0].effective & kKept, data[0].permitted & kKept, 0};
  data[1] = {};
  return ::syscall(SYS_capset, &header, data.data()) == 0;
}

}  // namespace

SandboxState enter_sandbox(SandboxNeeds const& needs) {
  SandboxState state;
  state.no_new_privileges = ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0;
  state.no_tracing = ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
  // Finding the rules' paths still takes root's rights; the filter refuses the calls used here.
  state.landlock = limit_files(needs);
  state.few_capabilities = keep_few_capabilities();
  state.seccomp = apply_filter(system_call_filter(::getpid()));
  return state;
}

json::object to_json(SandboxState const& state) {
  return {{"no_new_privileges", state.no_new_privileges},
          {"no_tracing", state.no_tracing},
          {"few_capabilities", state.few_capabilities},
          {"seccomp", state.seccomp},
          {"landlock", state.landlock}};
}

std::string report_line(SandboxState const& state) {
  return "sandbox: " + json::serialize(to_json(state));
}

}  // namespace homelab::engine_process
