#pragma once
// Why llama.cpp failed: it says so only in its log.
#include <llama.h>

#include <mutex>
#include <string>

namespace homelab::engine_process {

/// While it lives, llama.cpp's log goes where it went before, and the lines about errors are kept
/// as well (the first 16 KiB). Objects nest: make and destroy them like a stack. The log may come
/// from any thread.
class ErrorLines {
 public:
  ErrorLines();
  ErrorLines(ErrorLines const&) = delete;
  ErrorLines& operator=(ErrorLines const&) = delete;
  ~ErrorLines();

  /// The reason in one line: what llama.cpp itself calls the cause, else the first error; empty if
  /// there was none.
  [[nodiscard]] std::string reason() const;

 private:
  static void listen(ggml_log_level level, char const* text, void* self);

  ggml_log_callback previous_ = nullptr;
  void* previous_data_ = nullptr;
  mutable std::mutex mutex_;
  std::string text_;
};

}  // namespace homelab::engine_process
