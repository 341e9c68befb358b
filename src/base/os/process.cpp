#include "base/os/process.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <utility>

#include "base/os/program_words.h"
#include "base/strings.h"

namespace homelab::os {
namespace {

constexpr int kUnknownExitCode = 255;

/// posix_spawn attributes and file actions with a destructor.
class SpawnPlan {
 public:
  SpawnPlan() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // The child starts with default signal handling and nothing blocked, whatever our threads have
    // set.
    sigset_t none;
    sigset_t all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    // Own process group: Ctrl-C on our terminal reaches us alone, and we end the children in order.
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_,
        static_cast<short>(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP));
  }
  ~SpawnPlan() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(SpawnPlan const&) = delete;
  SpawnPlan& operator=(SpawnPlan const&) = delete;

  void give(int fd, int as) { posix_spawn_file_actions_adddup2(&actions_, fd, as); }
  void open_null_input() {
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  }
  posix_spawn_file_actions_t* actions() { return &actions_; }
  posix_spawnattr_t* attributes() { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

/// Whoever started us may have left SIGCHLD ignored; the kernel then throws away how a child ended,
/// and its pid at once.
void keep_child_statuses() {
  struct sigaction now{};
  if (::sigaction(SIGCHLD, nullptr, &now) == 0 && now.sa_handler == SIG_IGN)
    ::signal(SIGCHLD, SIG_DFL);
}

ExitStatus decode(siginfo_t const& info) {
  if (info.si_code == CLD_EXITED) return {info.si_status, 0};
  return {0, info.si_status};
}

}  // namespace

std::string to_string(ExitStatus status) {
  // Null for numbers that are no signal; unlike strsignal() safe in threads.
  char const* const description = ::sigdescr_np(status.signal);
  if (status.signal != 0)
    return fmt::format("killed by signal {} ({})", status.signal,
                       description != nullptr ? description : "unknown");
  return fmt::format("exit code {}", status.code);
}

Result<ChildProcess> ChildProcess::spawn(SpawnOptions options) {
  keep_child_statuses();
  ChildProcess child;
  UniqueFd lifeline_end;
  SpawnPlan plan;
  plan.open_null_input();
  if (options.output) {
    plan.give(options.output.get(), STDOUT_FILENO);
    plan.give(options.output.get(), STDERR_FILENO);
  }
  if (options.lifeline_fd >= 0) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("make", "lifeline pipe", errno);
    lifeline_end = UniqueFd(ends[0]);
    child.lifeline_ = UniqueFd(ends[1]);
    // dup2 onto the same number would keep O_CLOEXEC; move ours out of the way first.
    if (lifeline_end.get() == options.lifeline_fd)
      lifeline_end =
          UniqueFd(::fcntl(lifeline_end.get(), F_DUPFD_CLOEXEC, options.lifeline_fd + 1));
    plan.give(lifeline_end.get(), options.lifeline_fd);
  }
  std::vector<std::string> arguments{options.program.string()};
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  std::vector<std::string> environment = merged_environment(std::move(options.extra_environment));

  pid_t pid = -1;
  int const error =
      ::posix_spawn(&pid, options.program.c_str(), plan.actions(), plan.attributes(),
                    null_terminated(arguments).data(), null_terminated(environment).data());
  if (error != 0) return fail_errno("start", options.program.string(), error);
  child.pid_ = pid;
  child.pidfd_ = UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!child.pidfd_) {
    int const reason = errno;
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    child.pid_ = -1;
    return fail_errno("watch", options.program.string(), reason);
  }
  return child;
}

ChildProcess::ChildProcess(ChildProcess&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      lifeline_(std::move(other.lifeline_)),
      ended_(other.ended_) {}

ChildProcess& ChildProcess::operator=(ChildProcess&& other) noexcept {
  if (this != &other) {
    if (pid_ > 0 && !ended_) stop(std::chrono::milliseconds(0));
    pid_ = std::exchange(other.pid_, -1);
    pidfd_ = std::move(other.pidfd_);
    lifeline_ = std::move(other.lifeline_);
    ended_ = other.ended_;
  }
  return *this;
}

ChildProcess::~ChildProcess() {
  if (pid_ > 0 && !ended_) stop(std::chrono::milliseconds(0));
}

void ChildProcess::signal(int number) const {
  if (pid_ > 0 && !ended_) ::syscall(SYS_pidfd_send_signal, pidfd_.get(), number, nullptr, 0);
}

std::optional<ExitStatus> ChildProcess::wait(std::chrono::milliseconds timeout) {
  if (ended_ || pid_ <= 0) return ended_;
  pollfd waiting{pidfd_.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return std::nullopt;
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) == 0)
    ended_ = decode(info);
  else if (errno == ECHILD)
    ended_ = ExitStatus{kUnknownExitCode, 0};  // reaped by somebody else
  return ended_;
}

ExitStatus ChildProcess::stop(std::chrono::milliseconds grace) {
  if (!ended_ && grace.count() > 0) {
    signal(SIGTERM);
    if (auto const status = wait(grace)) return *status;
  }
  signal(SIGKILL);
  while (!ended_ && pid_ > 0) {
    if (wait(std::chrono::milliseconds(1000))) break;
  }
  return ended_.value_or(ExitStatus{});
}

Path self_path() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error);
}

unsigned usable_cores() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  unsigned cores = 1;
  if (::sched_getaffinity(0, sizeof(allowed), &allowed) == 0)
    cores = static_cast<unsigned>(std::max(1, CPU_COUNT(&allowed)));
  // "max 100000" or "200000 100000": quota and period of the control group, in microseconds.
  if (auto const quota = read_file("/sys/fs/cgroup/cpu.max", 256)) {
    auto const parts = split(trim(*quota), ' ');
    auto const limit = parse_uint(parts[0]);
    auto const period = parts.size() == 2 ? parse_uint(parts[1]) : std::nullopt;
    if (limit && period && *period > 0)
      cores = std::min(cores, static_cast<unsigned>(
                                  std::max<std::uint64_t>(1, (*limit + *period - 1) / *period)));
  }
  return cores;
}

std::optional<std::uint64_t> resident_bytes(int pid) {
  auto const text = read_file(fmt::format("/proc/{}/statm", pid), 1024);
  if (!text) return std::nullopt;
  auto const parts = split(trim(*text), ' ');
  if (parts.size() < 2) return std::nullopt;
  auto const pages = parse_uint(parts[1]);
  if (!pages) return std::nullopt;
  return *pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

}  // namespace homelab::os
