#pragma once
// The surroundings of a cache command: settings, registered models, progress on stderr, Ctrl-C.
#include <memory>

#include "../context.h"
#include "../progress_printer.h"
#include "care/work.h"

namespace homelab::http {
class Client;
}

namespace homelab::cli {

/// For one command. Who wants Ctrl-C to end the work keeps a StopSignal meanwhile.
class CareWork {
 public:
  explicit CareWork(Context const& context);
  ~CareWork();
  CareWork(CareWork const&) = delete;
  CareWork& operator=(CareWork const&) = delete;

  /// Lets the work ask the Hub.
  void connect_hub();
  [[nodiscard]] care::Work const& work() const { return work_; }
  /// Removes the bar, so that the answer starts on a clean line.
  void finish() { printer_.finish(); }

 private:
  Context const& context_;
  ProgressPrinter printer_;
  std::unique_ptr<http::Client> client_;
  std::unique_ptr<hub::Downloader> downloader_;
  std::unique_ptr<care::HubAccess> hub_;
  care::Work work_;
};

}  // namespace homelab::cli
