#include "curl_loop.h"

#include <algorithm>
#include <csignal>
#include <stdexcept>

#include "curl_library.h"

namespace homelab::http {
namespace {
constexpr int kPollMilliseconds = 1000;
constexpr char const* kProgramEnds = "transfer was stopped: the program ends";

/// A peer that hangs up must give an error, not a signal: libcurl was told to leave signals alone.
void block_broken_pipe_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void initialise_curl_once() {
  static std::once_flag once;
  std::call_once(once, [] {
    if (curl().global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
      throw std::runtime_error("libcurl cannot be initialised");
  });
}
}  // namespace

CurlLoop::CurlLoop(Client::Options options) : options_(std::move(options)) {
  initialise_curl_once();
  multi_ = curl().multi_init();
  if (multi_ == nullptr) throw std::bad_alloc();
  auto const per_host = static_cast<long>(options_.max_connections_per_host);
  curl().multi_setopt(multi_, CURLMOPT_MAX_HOST_CONNECTIONS, per_host);
  curl().multi_setopt(multi_, CURLMOPT_MAXCONNECTS, static_cast<long>(options_.max_transfers));
  curl().multi_setopt(multi_, CURLMOPT_PIPELINING, static_cast<long>(CURLPIPE_NOTHING));
  thread_ = std::thread([this] { run(); });
}

CurlLoop::~CurlLoop() {
  stop();
  curl().multi_cleanup(multi_);
}

void CurlLoop::send(Verb verb, std::shared_ptr<CurlTransfer> transfer) {
  {
    std::lock_guard const guard(mutex_);
    if (!ended_) {
      commands_.push_back({verb, std::move(transfer)});
      curl().multi_wakeup(multi_);
      return;
    }
  }
  // Nobody reads commands any more; a new transfer still gets its one on_done.
  transfer->finish(fail(Code::kCancelled, kProgramEnds));
}

void CurlLoop::add(std::shared_ptr<CurlTransfer> transfer) {
  send(Verb::kAdd, std::move(transfer));
}
void CurlLoop::resume(std::shared_ptr<CurlTransfer> transfer) {
  send(Verb::kResume, std::move(transfer));
}
void CurlLoop::cancel(std::shared_ptr<CurlTransfer> transfer) {
  send(Verb::kCancel, std::move(transfer));
}

void CurlLoop::stop() {
  {
    std::lock_guard const guard(mutex_);
    stopping_ = true;
  }
  curl().multi_wakeup(multi_);
  if (thread_.joinable()) thread_.join();
}

bool CurlLoop::on_transfer_thread() const { return std::this_thread::get_id() == thread_.get_id(); }

void CurlLoop::run() {
  block_broken_pipe_signal();
  while (true) {
    std::vector<Command> commands;
    {
      std::lock_guard const guard(mutex_);
      if (stopping_) break;
      commands.swap(commands_);
    }
    for (Command& command : commands) obey(std::move(command));
    begin_waiting();
    int active = 0;
    curl().multi_perform(multi_, &active);
    collect_finished();
    end_stalled();
    // Nothing runs: only a command can change that, and it wakes us up.
    bool const idle = running_.empty() && waiting_.empty();
    curl().multi_poll(multi_, nullptr, 0, idle ? 60 * kPollMilliseconds : kPollMilliseconds,
                      nullptr);
  }
  end_all();
}

void CurlLoop::obey(Command command) {
  switch (command.verb) {
    case Verb::kAdd:
      waiting_.push_back(std::move(command.transfer));
      return;
    case Verb::kResume:
      if (running_.contains(command.transfer.get())) command.transfer->resume_now();
      return;
    case Verb::kCancel:
      end(command.transfer, fail(Code::kCancelled, "transfer was stopped"));
      return;
  }
}

void CurlLoop::begin_waiting() {
  while (!waiting_.empty() && running_.size() < options_.max_transfers) {
    auto const transfer = waiting_.front();
    waiting_.pop_front();
    begin(transfer);
  }
}

void CurlLoop::begin(std::shared_ptr<CurlTransfer> const& transfer) {
  if (Status const ready = transfer->prepare(options_); !ready) {
    transfer->finish(ready);
    return;
  }
  running_.emplace(transfer.get(), transfer);
  if (curl().multi_add_handle(multi_, transfer->easy()) != CURLM_OK)
    end(transfer, fail(Code::kInternal, "libcurl refused a transfer"));
}

void CurlLoop::collect_finished() {
  int left = 0;
  bool any = false;
  while (CURLMsg const* message = curl().multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode const code = message->data.result;
    CurlTransfer* which = nullptr;
    curl().easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &which);
    auto const found = running_.find(which);
    if (found == running_.end()) continue;
    auto const transfer = found->second;
    end(transfer, transfer->outcome(code));
    any = true;
  }
  if (any && !waiting_.empty()) curl().multi_wakeup(multi_);
}

void CurlLoop::end_stalled() {
  auto const now = std::chrono::steady_clock::now();
  std::vector<std::shared_ptr<CurlTransfer>> stalled;
  for (auto const& [key, transfer] : running_) {
    if (transfer->stalled(now)) stalled.push_back(transfer);
  }
  for (auto const& transfer : stalled) end(transfer, transfer->stall_error());
}

void CurlLoop::end(std::shared_ptr<CurlTransfer> const& transfer, Status status) {
  if (running_.erase(transfer.get()) > 0) {
    curl().multi_remove_handle(multi_, transfer->easy());
  } else {
    auto const place = std::find(waiting_.begin(), waiting_.end(), transfer);
    if (place != waiting_.end()) waiting_.erase(place);
  }
  transfer->finish(std::move(status));
}

void CurlLoop::end_all() {
  {
    // From here on send() ends new transfers itself, so a callback that starts one cannot wait for
    // ever.
    std::lock_guard const guard(mutex_);
    ended_ = true;
    for (Command const& command : commands_) {
      if (command.verb == Verb::kAdd) waiting_.push_back(command.transfer);
    }
    commands_.clear();
  }
  std::vector<std::shared_ptr<CurlTransfer>> rest(waiting_.begin(), waiting_.end());
  for (auto const& [key, transfer] : running_) rest.push_back(transfer);
  for (auto const& transfer : rest) end(transfer, fail(Code::kCancelled, kProgramEnds));
}

}  // namespace homelab::http
