#pragma once
// A file as memory, read only and shared with the page cache.
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace homelab::loader {

/// Owns the mapping. Reading bytes behind the end of a file that became shorter is SIGBUS, as with
/// every mapping. Thread-safe to read.
class FileMapping {
 public:
  /// The first `bytes` of the file; the descriptor may be closed afterwards. `name` is shown in
  /// errors. Errors: kResourceExhausted.
  [[nodiscard]] static Result<FileMapping> of(int descriptor, std::uint64_t bytes,
                                              std::string const& name);
  FileMapping(FileMapping&& other) noexcept;
  FileMapping& operator=(FileMapping&& other) noexcept;
  FileMapping(FileMapping const&) = delete;
  FileMapping& operator=(FileMapping const&) = delete;
  ~FileMapping();

  /// The mapped bytes. Not const, because ggml's tensors are not, but they cannot be written.
  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

  /// Reads these bytes into memory ahead of their use, without copying them. Errors: kDataLoss if
  /// the file has become shorter.
  [[nodiscard]] Status read_ahead(std::uint64_t offset, std::uint64_t length) const;

 private:
  FileMapping() = default;
  void unmap();

  std::span<std::byte> bytes_;
  std::string name_;
};

}  // namespace homelab::loader
