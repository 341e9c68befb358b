#include "engine_process.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "http/local_client.h"

namespace homelab::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr std::size_t kHealthLimitBytes = 64UL * 1024;
constexpr milliseconds kFirstPause{5};
constexpr milliseconds kLongestPause{50};
constexpr int kKillSignal = 9;
constexpr int kLooksWithinPatience = 8;
constexpr milliseconds kLongestLook{2000};

}  // namespace

std::string describe_end(os::ExitStatus status, std::vector<std::string> const& log_lines) {
  std::string out = status.signal != 0 ? fmt::format("was {}", os::to_string(status))
                                       : fmt::format("ended with {}", os::to_string(status));
  if (status.signal == kKillSignal) out += ", as the kernel does when memory runs out";
  std::string const reason = reason_in(log_lines);
  if (!reason.empty()) out += (status.signal != 0 ? "; its last messages: " : ": ") + reason;
  return out;
}

Result<std::unique_ptr<EngineProcess>> EngineProcess::start(EngineStart const& start) {
  ASSIGN_OR_RETURN(os::Pipe pipe, os::make_pipe());
  os::SpawnOptions options;
  options.program = start.program;
  options.arguments = engine_arguments(start);
  // ggml would run gdb on itself for a backtrace: ten times slower to die.
  // The Hub's token is nothing for a program that reads models.
  options.extra_environment = {"GGML_NO_BACKTRACE=1", "HF_TOKEN=", "HUGGING_FACE_HUB_TOKEN="};
  options.output = std::move(pipe.write_end);
  options.lifeline_fd = kLifelineFd;
  auto child = os::ChildProcess::spawn(std::move(options));
  if (!child) return fail(std::move(child).error());
  return std::unique_ptr<EngineProcess>(
      new EngineProcess(std::move(*child), std::move(pipe.read_end), start));
}

EngineProcess::EngineProcess(os::ChildProcess child, os::UniqueFd log_pipe,
                             EngineStart const& start)
    : child_(std::move(child)),
      log_(std::move(log_pipe), start.log_file),
      socket_(start.socket.string()) {}

EngineProcess::~EngineProcess() {
  child_.stop(milliseconds(0));
  if (auto const removed = os::remove_file(socket_); !removed)
    logger("engine")->warn("{}", removed.error().message);
}

Result<bool> EngineProcess::ask_health(http::IoLoops& loops) const {
  http::LocalRequest request;
  request.socket_path = socket_;
  request.target = "/health";
  request.idle_timeout = milliseconds(2000);
  ASSIGN_OR_RETURN(auto const response,
                   http::fetch_local(loops, std::move(request), kHealthLimitBytes));
  return response.status == 200;
}

Status EngineProcess::wait_until_healthy(http::IoLoops& loops, milliseconds patience,
                                         std::function<bool()> const& cancelled) {
  ProgressWatch progress(patience);
  auto look_again = steady_clock::now();
  milliseconds pause = kFirstPause;
  while (true) {
    // The pause ends at once when the process does.
    auto const status = child_.wait(pause);
    log_.drain();
    if (status) {
      auto const code = status->signal != 0 ? Code::kDataLoss : Code::kUnimplemented;
      return fail(code, end_message(*status));
    }
    if (cancelled && cancelled()) return fail(Code::kCancelled, "the load was cancelled");
    // No answer yet is normal: the engine listens only when it is about to load.
    auto const healthy = ask_health(loops);
    if (healthy && *healthy) return {};
    if (auto const now = steady_clock::now(); now >= look_again) {
      look_again = now + std::clamp(patience / kLooksWithinPatience, kFirstPause, kLongestLook);
      if (hangs(progress)) return fail(Code::kDeadlineExceeded, hang_message(*this, patience));
    }
    pause = std::min(pause * 2, kLongestPause);
  }
}

bool EngineProcess::hangs(ProgressWatch& progress) const {
  auto const sample = read_work(pid());
  return sample && progress.hangs(*sample, true, steady_clock::now());
}

std::string hang_message(SupervisedProcess& process, milliseconds patience) {
  process.log().drain();
  std::string const last = reason_in(process.log().lines());
  return fmt::format(
      "the engine hangs: it did nothing for {} s (no answer, no processor time, no reading); its "
      "threads: {}; its last messages: {}",
      std::chrono::duration<double>(patience).count(), describe_threads(process.pid()),
      last.empty() ? "none" : last);
}

std::string EngineProcess::end_message(os::ExitStatus status) {
  log_.drain();
  return "the engine " + describe_end(status, log_.lines());
}

void EngineProcess::ask_to_stop() {
  if (asked_to_stop_) return;
  asked_to_stop_ = steady_clock::now();
  child_.signal(SIGTERM);
}

os::ExitStatus EngineProcess::stop(milliseconds grace) {
  if (!asked_to_stop_ || grace.count() == 0) return child_.stop(grace);
  // A second SIGTERM would make llama.cpp's core end without order.
  auto const left = std::chrono::ceil<milliseconds>(*asked_to_stop_ + grace - steady_clock::now());
  if (auto const status = child_.wait(std::max(left, milliseconds(0)))) return *status;
  return child_.stop(milliseconds(0));
}

}  // namespace homelab::engine
