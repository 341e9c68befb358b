#include "external_command.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "base/os/file.h"

namespace homelab::engine {
namespace {

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

os::UniqueFd tcp_socket() { return os::UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); }

}  // namespace

Result<ExternalCommand> fill_in_command(ExternalEngine const& engine, Words const& words) {
  auto const filled = [&](std::string const& text) {
    auto out = fill_in(text, words);
    if (!out)
      out = fail(Error(out.error()).in(fmt::format("engine '{}', \"{}\"", engine.name, text)));
    return out;
  };
  ExternalCommand out;
  out.program = engine.command.at(0);
  for (std::size_t i = 1; i < engine.command.size(); ++i) {
    ASSIGN_OR_RETURN(auto argument, filled(engine.command[i]));
    out.arguments.push_back(std::move(argument));
  }
  for (auto const& [name, value] : engine.environment) {
    ASSIGN_OR_RETURN(auto content, filled(value));
    out.environment.emplace_back(name, std::move(content));
  }
  ASSIGN_OR_RETURN(out.model, filled(engine.model));
  return out;
}

Result<int> free_port() {
  auto const socket = tcp_socket();
  auto address = loopback(0);
  socklen_t size = sizeof(address);
  auto* const any = reinterpret_cast<sockaddr*>(&address);
  if (!socket || ::bind(socket.get(), any, size) != 0 ||
      ::getsockname(socket.get(), any, &size) != 0)
    return fail_errno("find a free port on", "127.0.0.1", errno);
  return ntohs(address.sin_port);
}

bool is_taken(int port) {
  auto const socket = tcp_socket();
  auto const address = loopback(port);
  return socket &&
         ::connect(socket.get(), reinterpret_cast<sockaddr const*>(&address), sizeof(address)) == 0;
}

}  // namespace homelab::engine
