// ping: the health check of containers and of scripts that wait for a server.
#include <fmt/format.h>

#include "commands.h"
#include "exit_code.h"
#include "server_link.h"

namespace homelab::cli {

Outcome execute(Context const& context, PingCommand const&) {
  ASSIGN_OR_RETURN(auto const link, ServerLink::connect(context));
  context.out.text(fmt::format("the server at {} answers\n", link.api().base_url()));
  context.out.value(json::object{{"server", link.api().base_url()}, {"ok", true}});
  return kExitDone;
}

}  // namespace homelab::cli
