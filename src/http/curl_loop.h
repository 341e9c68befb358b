#pragma once
// The transfer thread: one curl multi handle, fed by a queue of commands.
#include <curl/curl.h>

#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "curl_transfer.h"
#include "http/client.h"

namespace homelab::http {

/// Thread-safe where nothing else is said.
class CurlLoop : public std::enable_shared_from_this<CurlLoop> {
 public:
  explicit CurlLoop(Client::Options options);
  ~CurlLoop();
  CurlLoop(CurlLoop const&) = delete;
  CurlLoop& operator=(CurlLoop const&) = delete;

  void add(std::shared_ptr<CurlTransfer> transfer);
  void resume(std::shared_ptr<CurlTransfer> transfer);
  void cancel(std::shared_ptr<CurlTransfer> transfer);
  /// Ends every transfer with kCancelled and joins the thread. Not from a callback.
  void stop();
  [[nodiscard]] bool on_transfer_thread() const;

 private:
  enum class Verb { kAdd, kResume, kCancel };
  struct Command {
    Verb verb;
    std::shared_ptr<CurlTransfer> transfer;
  };

  void send(Verb verb, std::shared_ptr<CurlTransfer> transfer);
  // On the transfer thread:
  void run();
  void obey(Command command);
  void begin_waiting();
  void begin(std::shared_ptr<CurlTransfer> const& transfer);
  void collect_finished();
  void end_stalled();
  void end(std::shared_ptr<CurlTransfer> const& transfer, Status status);
  void end_all();

  Client::Options const options_;
  CURLM* multi_;
  std::unordered_map<CurlTransfer*, std::shared_ptr<CurlTransfer>> running_;
  std::deque<std::shared_ptr<CurlTransfer>> waiting_;

  std::mutex mutex_;
  std::vector<Command> commands_;  // guarded by mutex_
  bool stopping_ = false;          // guarded by mutex_
  bool ended_ = false;             // guarded by mutex_: commands are no longer read
  std::thread thread_;
};

}  // namespace homelab::http
