#pragma once
// A file's bytes where they lie in the page cache, without a copy. What cannot be read (the file
// became shorter, the disk fails) shows as zeros and is told, instead of ending the process.
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace homelab::cache {

/// One window at a time, for one thread: only the thread that calls show() may look at the bytes
/// and destroy this. A thread has one MappedFile at a time.
///
/// The process gets a handler for SIGBUS with the first one. It puts memory of zeros in the place
/// of a window of the faulting thread; whatever else SIGBUS was for goes where it went before.
class MappedFile {
 public:
  explicit MappedFile(int file) : file_(file) {}
  ~MappedFile() { hide(); }
  MappedFile(MappedFile const&) = delete;
  MappedFile& operator=(MappedFile const&) = delete;

  /// Bytes from `at`, a multiple of kWindowBytes; valid until the next call. nullopt: this file
  /// cannot be mapped.
  [[nodiscard]] std::optional<std::span<std::byte const>> show(std::uint64_t at,
                                                               std::size_t length);
  /// True when some of what was shown since the first window was not the file.
  [[nodiscard]] bool broke() const;

  static constexpr std::size_t kWindowBytes = std::size_t{8} << 20U;

 private:
  void hide();
  int file_;
  bool shown_ = false;
  bool broke_before_ = false;
};

}  // namespace homelab::cache
