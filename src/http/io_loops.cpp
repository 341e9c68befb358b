#include "io_loops.h"

#include <algorithm>
#include <csignal>
#include <exception>

#include "base/log.h"

namespace homelab::http {
namespace {

void block_broken_pipe_signal() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGPIPE);  // sendfile(2) has no flag against it
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

void run_loop(asio::io_context& io) {
  block_broken_pipe_signal();
  while (true) {
    try {
      io.run();
      return;
    } catch (std::exception const& error) {
      logger("http")->error("a callback on an I/O loop threw: {}", error.what());
    }
  }
}

}  // namespace

IoLoops::IoLoops(std::size_t threads) : impl_(std::make_unique<Impl>()) {
  for (std::size_t i = 0; i < std::max<std::size_t>(threads, 1); ++i)
    impl_->loops.push_back(std::make_unique<Impl::Loop>());
  for (auto& loop : impl_->loops) {
    auto& io = loop->io;
    loop->thread = std::thread([&io] { run_loop(io); });
  }
}

IoLoops::~IoLoops() {
  for (auto& loop : impl_->loops) loop->io.stop();
  for (auto& loop : impl_->loops) loop->thread.join();
}

bool IoLoops::Impl::on_a_loop() const {
  return std::any_of(loops.begin(), loops.end(), [](auto const& loop) {
    return loop->thread.get_id() == std::this_thread::get_id();
  });
}

asio::io_context& IoLoops::Impl::here_or_next() {
  for (auto& loop : loops) {
    if (loop->thread.get_id() == std::this_thread::get_id()) return loop->io;
  }
  return loops[next.fetch_add(1, std::memory_order_relaxed) % loops.size()]->io;
}

}  // namespace homelab::http
