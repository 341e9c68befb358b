#include "registry/server_lock.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <thread>

#include "base/json.h"
#include "base/strings.h"
#include "base/time.h"

namespace homelab::registry {
namespace {

using Path = std::filesystem::path;

constexpr std::size_t kMaxBytes = 4096;
constexpr std::size_t kMaxWord = 256;
constexpr int kTries = 20;
constexpr std::chrono::milliseconds kBetweenTries{50};

Path lock_file_of(Path const& database) {
  std::error_code ignored;
  return std::filesystem::absolute(database, ignored).string() + ".lock";
}

/// What stands in the file is written by another program: bounded, and nothing that could bend a
/// terminal.
std::string word_of(json::object const& object, std::string_view key) {
  std::string word = get_string(object, key).value_or("").substr(0, kMaxWord);
  for (char& c : word)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  return word;
}

LockHolder read_holder(int fd) {
  std::string text(kMaxBytes, '\0');
  ssize_t const got = ::pread(fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  auto const value = parse_json(text);
  auto const* const object = value ? value->if_object() : nullptr;
  if (object == nullptr) return {};
  return {word_of(*object, "host"),
          get_int(*object, "process").value_or(0),
          get_bool(*object, "container").value_or(false),
          word_of(*object, "address"),
          word_of(*object, "since"),
          word_of(*object, "boot")};
}

/// A read-only descriptor of another user's file locks just as well.
Result<os::UniqueFd> open_lock(Path const& file, int flags) {
  constexpr mode_t kMode = 0664;
  auto opened = os::open_file(file, flags | O_NOFOLLOW, kMode);
  if (!opened && opened.error().code == Code::kPermissionDenied)
    return os::open_file(file, O_RDONLY | O_NOFOLLOW);
  return opened;
}

enum class Lock { kTaken, kHeld, kUnknown };

Lock try_lock(int fd, int kind) {
  int outcome = 0;
  do outcome = ::flock(fd, kind | LOCK_NB);
  while (outcome != 0 && errno == EINTR);
  if (outcome == 0) return Lock::kTaken;
  return errno == EWOULDBLOCK ? Lock::kHeld : Lock::kUnknown;
}

std::string boot_id() {
  return std::string(
      trim(os::read_file("/proc/sys/kernel/random/boot_id", kMaxBytes).value_or("")));
}

}  // namespace

LockHolder this_process(bool container) {
  std::array<char, kMaxWord> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) name[0] = '\0';
  return {name.data(), ::getpid(), container, "", to_iso_utc(utc_now()), boot_id()};
}

std::string describe(LockHolder const& holder) {
  if (holder.host.empty()) return "another server";
  std::string text = fmt::format("the server with process id {} {} {}", holder.process,
                                 holder.container ? "in container" : "on", holder.host);
  if (!holder.address.empty()) text += fmt::format(", which listens on {}", holder.address);
  if (!holder.since.empty()) text += fmt::format(", since {}", holder.since);
  return text;
}

Result<ServerLock> ServerLock::take(Path const& database, LockHolder self) {
  ASSIGN_OR_RETURN(auto fd, open_lock(lock_file_of(database), O_RDWR | O_CREAT));
  Lock state = try_lock(fd.get(), LOCK_EX);
  // find_holder() of a command holds it for a moment, too.
  for (int tries = 0; state == Lock::kHeld && tries < kTries; ++tries) {
    std::this_thread::sleep_for(kBetweenTries);
    state = try_lock(fd.get(), LOCK_EX);
  }
  if (state == Lock::kHeld)
    return fail(Code::kUnavailable,
                fmt::format("the registry {} is in use by {}. One server at a time: stop that one, "
                            "talk to it (--host, --port), or give this one a registry of its own "
                            "with DATABASE_PATH",
                            database.string(), describe(read_holder(fd.get()))));
  ServerLock lock(std::move(fd), std::move(self));
  lock.write();
  return lock;
}

ServerLock::~ServerLock() {
  // What the file says counts only while it is locked; an empty one just looks tidier.
  if (fd_ && ::ftruncate(fd_.get(), 0) != 0) return;
}

void ServerLock::announce(std::string const& address) {
  self_.address = address;
  write();
}

void ServerLock::write() {
  std::string const text = json::serialize(json::object{{"host", self_.host},
                                                        {"process", self_.process},
                                                        {"container", self_.container},
                                                        {"address", self_.address},
                                                        {"since", self_.since},
                                                        {"boot", self_.boot}}) +
                           "\n";
  // The lock is what counts. Without the text (full disk, read-only descriptor) a message says
  // less.
  if (os::write_all_at(fd_.get(), std::as_bytes(std::span(text)), 0))
    if (::ftruncate(fd_.get(), static_cast<off_t>(text.size())) != 0) return;
}

Result<std::optional<LockHolder>> find_holder(Path const& database) {
  auto const fd = open_lock(lock_file_of(database), O_RDONLY);
  if (!fd && fd.error().code == Code::kNotFound) return std::nullopt;
  if (!fd) return fail(fd.error());
  if (try_lock(fd->get(), LOCK_SH) != Lock::kHeld) return std::nullopt;
  return read_holder(fd->get());
}

Status check_shareable(Path const& database) {
  ASSIGN_OR_RETURN(auto const holder, find_holder(database));
  if (!holder || holder->boot.empty() || holder->boot == boot_id()) return {};
  return fail(
      Code::kUnavailable,
      fmt::format("the registry {} is in use by {}, on another machine: its database cannot "
                  "be shared between machines; talk to that server (--host, --port)",
                  database.string(), describe(*holder)));
}

}  // namespace homelab::registry
