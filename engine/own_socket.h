#pragma once
// The engine's listening sockets, bound before the sandbox is entered: inside it nothing can be
// bound, so that no engine takes another one's place.
#include <string>
#include <vector>

#include "base/os/file.h"
#include "base/result.h"

namespace homelab::engine_process {

/// The values of "--host" that end in ".sock".
[[nodiscard]] std::vector<std::string> socket_paths(std::vector<std::string> const& arguments);

/// Bound sockets; their files go with this object. The core's own bind() of such a path gets the
/// socket that is here (own_socket.cpp exports bind). One object at a time.
class OwnSockets {
 public:
  /// A socket file left by a killed engine is replaced; kAlreadyExists when somebody listens there
  /// or it is another kind of file.
  [[nodiscard]] static Result<OwnSockets> bind(std::vector<std::string> const& paths);
  OwnSockets(OwnSockets&&) noexcept = default;
  OwnSockets& operator=(OwnSockets&&) = delete;
  ~OwnSockets();

 private:
  OwnSockets() = default;
  std::vector<std::string> paths_;
};

}  // namespace homelab::engine_process
