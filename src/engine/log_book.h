#pragma once
// The log of each model's latest engine, also after its end. Thread-safe.
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "engine/log_file.h"

namespace homelab::engine {

class LogBook {
 public:
  /// Of models; a log is at most 2 MiB. Those that were put in first are forgotten first.
  static constexpr std::size_t kMost = 16;

  void put(std::string const& model, std::shared_ptr<LogFile> log);
  /// Null when none is kept.
  [[nodiscard]] std::shared_ptr<LogFile> find(std::string const& model) const;

 private:
  struct Entry {
    std::uint64_t number = 0;
    std::shared_ptr<LogFile> log;
  };
  mutable std::mutex mutex_;
  std::uint64_t last_number_ = 0;         // guarded by mutex_
  std::map<std::string, Entry> entries_;  // guarded by mutex_
};

}  // namespace homelab::engine
