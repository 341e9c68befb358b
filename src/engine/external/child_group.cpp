#include "child_group.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "base/os/program_words.h"
#include "base/strings.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
namespace fs = std::filesystem;

constexpr int kLastSignal = 64;
constexpr int kUnknownExitCode = 255;
constexpr int kCannotExecute = 127;

std::vector<std::string> merged(std::vector<std::pair<std::string, std::string>> const& extra) {
  std::vector<std::string> words;
  for (auto const& [name, value] : extra) words.push_back(fmt::format("{}={}", name, value));
  return os::merged_environment(std::move(words));
}

/// Everything the child needs, ready before fork(): after it only async-signal-safe calls are
/// allowed.
struct Prepared {
  char const* program;
  char* const* arguments;
  char* const* environment;
  int output;
  int failure;  ///< where the child writes errno when it cannot become the program
  pid_t parent;
};

[[noreturn]] void become(Prepared const& prepared) {
  ::setpgid(0, 0);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != prepared.parent) ::_exit(kCannotExecute);  // it died before the line above
  for (int number = 1; number <= kLastSignal; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  int const nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  bool const placed = ::dup2(nothing, STDIN_FILENO) >= 0 &&
                      ::dup2(prepared.output, STDOUT_FILENO) >= 0 &&
                      ::dup2(prepared.output, STDERR_FILENO) >= 0;
  if (placed) ::execve(prepared.program, prepared.arguments, prepared.environment);
  int const reason = errno;
  // If this fails, the exit code alone has to tell.
  [[maybe_unused]] auto const written = ::write(prepared.failure, &reason, sizeof(reason));
  ::_exit(kCannotExecute);
}

/// errno of a child that could not become the program; 0 = it has.
int read_failure(int fd) {
  int reason = 0;
  ssize_t got = 0;
  do {
    got = ::read(fd, &reason, sizeof(reason));
  } while (got < 0 && errno == EINTR);
  return got == sizeof(reason) ? reason : 0;
}

/// The group of a process out of /proc/PID/stat: the third word behind its name in parentheses.
std::optional<int> group_of(std::string const& pid) {
  auto const text = os::read_file("/proc/" + pid + "/stat", 4096);
  if (!text) return std::nullopt;
  auto const end = text->rfind(')');
  if (end == std::string::npos) return std::nullopt;
  auto const words = split(trim(std::string_view(*text).substr(end + 1)), ' ');
  auto const group = words.size() > 2 ? parse_uint(words[2]) : std::nullopt;
  return group ? std::optional(static_cast<int>(*group)) : std::nullopt;
}

}  // namespace

Result<std::unique_ptr<ChildGroup>> ChildGroup::spawn(Start start) {
  std::vector<std::string> arguments{start.program};
  arguments.insert(arguments.end(), start.arguments.begin(), start.arguments.end());
  auto environment = merged(start.environment);
  auto const argument_pointers = os::null_terminated(arguments);
  auto const environment_pointers = os::null_terminated(environment);
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return fail_errno("start", start.program, errno);
  os::UniqueFd const failure_end(ends[0]);
  os::UniqueFd child_end(ends[1]);
  Prepared const prepared{
      start.program.c_str(), argument_pointers.data(), environment_pointers.data(),
      start.output.get(),    child_end.get(),          ::getpid()};
  pid_t const pid = ::fork();
  if (pid < 0) return fail_errno("start", start.program, errno);
  if (pid == 0) become(prepared);
  child_end.reset();
  ::setpgid(pid, pid);  // whoever of both comes first
  os::UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  int const no_watch = pidfd ? 0 : errno;
  int const reason = read_failure(failure_end.get());
  if (reason != 0 || no_watch != 0) {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return fail_errno(reason != 0 ? "start" : "watch", start.program,
                      reason != 0 ? reason : no_watch);
  }
  return std::unique_ptr<ChildGroup>(new ChildGroup(pid, std::move(pidfd)));
}

void ChildGroup::signal(int number) const {
  // Until the first process is reaped its number, and so the group's, is not given to others.
  if (!ended_) ::kill(-pid_, number);
}

void ChildGroup::kill() const { signal(SIGKILL); }

std::optional<os::ExitStatus> ChildGroup::wait(milliseconds timeout) {
  if (ended_) return ended_;
  pollfd waiting{pidfd_.get(), POLLIN, 0};
  int ready = 0;
  do {
    ready = ::poll(&waiting, 1, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  if (ready <= 0) return std::nullopt;
  kill();
  siginfo_t info{};
  if (::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED) == 0) {
    ended_ = info.si_code == CLD_EXITED ? os::ExitStatus{info.si_status, 0}
                                        : os::ExitStatus{0, info.si_status};
  } else {
    ended_ = os::ExitStatus{kUnknownExitCode, 0};  // reaped by somebody else
  }
  return ended_;
}

void ChildGroup::ask_to_stop() {
  if (asked_to_stop_) return;
  asked_to_stop_ = std::chrono::steady_clock::now();
  signal(SIGTERM);
}

os::ExitStatus ChildGroup::stop(milliseconds grace) {
  if (!ended_ && grace.count() > 0) {
    ask_to_stop();
    auto const left =
        std::chrono::ceil<milliseconds>(*asked_to_stop_ + grace - std::chrono::steady_clock::now());
    if (auto const status = wait(std::max(left, milliseconds(0)))) return *status;
  }
  kill();
  while (!wait(milliseconds(1000))) {
  }
  return *ended_;
}

os::ProcessMemory group_memory(int group) {
  os::ProcessMemory sum;
  std::error_code error;
  for (fs::directory_iterator entry("/proc", error), end; !error && entry != end;
       entry.increment(error)) {
    auto const name = entry->path().filename().string();
    auto const pid = parse_uint(name);
    if (!pid || group_of(name) != group) continue;
    auto const memory = os::process_memory(static_cast<int>(*pid)).value_or(os::ProcessMemory{});
    sum.own_bytes += memory.own_bytes;
    sum.file_bytes += memory.file_bytes;
  }
  return sum;
}

Result<std::string> find_program(std::string const& name) {
  auto const runs = [](fs::path const& path) {
    std::error_code ignored;
    return ::access(path.c_str(), X_OK) == 0 && fs::is_regular_file(path, ignored);
  };
  if (name.find('/') != std::string::npos) {
    if (runs(name)) return name;
    return fail(Code::kNotFound, fmt::format("{} does not exist or cannot be executed", name));
  }
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing in this program changes the environment
  char const* const path = std::getenv("PATH");
  std::string_view const folders = path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
  for (auto const& folder : split(folders, ':'))
    if (!folder.empty() && runs(fs::path(folder) / name)) return (fs::path(folder) / name).string();
  return fail(
      Code::kNotFound,
      fmt::format("there is no program '{}' in PATH ({}); install it, or give its whole path "
                  "in the engines file",
                  name, folders));
}

}  // namespace homelab::engine
