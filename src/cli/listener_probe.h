#pragma once
// A cheap question before an HTTP client is made.
#include <string_view>

namespace homelab::cli {

/// True only when it is certain that nothing listens there: the address is one of this machine's
/// own (127.0.0.0/8, ::1, or "listens everywhere" addresses, for which those stand) and refuses at
/// once. False for everything that would need a name server or a network.
[[nodiscard]] bool certainly_nobody_listens(std::string_view host, int port);

}  // namespace homelab::cli
