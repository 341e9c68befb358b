#pragma once
// One server for one registry (docs/decisions/0023): an flock(2) on "<database>.lock", held for the
// server's life. It holds between host and containers through any mount of the folder, and the
// kernel frees it however the holder ends. Blocking disk work; any thread.
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/os/file.h"
#include "base/result.h"

namespace homelab::registry {

/// The server of a registry, as it describes itself to the others.
struct LockHolder {
  std::string host;          ///< in a container by default its id
  std::int64_t process = 0;  ///< as its own process namespace counts
  bool container = false;
  std::string address;  ///< base URL where it listens; empty while it does not
  std::string since;    ///< RFC 3339
  std::string boot;     ///< the kernel's boot id: equal on the host and in its containers
};
/// This process; without an address.
[[nodiscard]] LockHolder this_process(bool container);
/// "process 4711 on nas (http://127.0.0.1:8000), since ..." for messages.
[[nodiscard]] std::string describe(LockHolder const& holder);

class ServerLock {
 public:
  /// kUnavailable while another server holds it: the message names the holder as far as it has
  /// described itself. A file system without flock (ENOLCK, EOPNOTSUPP) excludes nobody.
  [[nodiscard]] static Result<ServerLock> take(std::filesystem::path const& database,
                                               LockHolder self);
  ServerLock(ServerLock&&) noexcept = default;
  ServerLock& operator=(ServerLock&&) noexcept = default;
  ~ServerLock();

  /// Now listening there.
  void announce(std::string const& address);

 private:
  ServerLock(os::UniqueFd fd, LockHolder self) : fd_(std::move(fd)), self_(std::move(self)) {}
  void write();

  os::UniqueFd fd_;
  LockHolder self_;
};

/// The server that holds the registry now; nullopt: none. Of one that has not described itself yet
/// the members are empty.
[[nodiscard]] Result<std::optional<LockHolder>> find_holder(std::filesystem::path const& database);

/// For a command that wants to open the registry beside its server: SQLite allows that on one
/// kernel only. kUnavailable when the server runs on another machine; the message says what to do.
[[nodiscard]] Status check_shareable(std::filesystem::path const& database);

}  // namespace homelab::registry
