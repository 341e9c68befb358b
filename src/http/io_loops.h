#pragma once
// The inside of IoLoops. Everything that includes Asio stays in this folder's .cpp files.
#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <memory>
#include <thread>
#include <vector>

#include "http/server.h"

namespace homelab::http {

namespace asio = boost::asio;

struct IoLoops::Impl {
  struct Loop {
    Loop() : io(1), work(io.get_executor()) {}
    asio::io_context io;  // one thread runs it, any thread may post
    asio::executor_work_guard<asio::io_context::executor_type> work;
    std::thread thread;
  };

  std::vector<std::unique_ptr<Loop>> loops;
  std::atomic<std::size_t> next{0};

  [[nodiscard]] std::size_t size() const { return loops.size(); }
  [[nodiscard]] asio::io_context& io(std::size_t index) { return loops[index]->io; }
  /// The loop whose thread calls, else the next in turn.
  [[nodiscard]] asio::io_context& here_or_next();
  /// True on a thread of these loops: blocking there would stop other connections, or for ever.
  [[nodiscard]] bool on_a_loop() const;
};

}  // namespace homelab::http
