#pragma once
// A tar stream as somebody else wrote it, read once from front to back through libarchive. Nothing
// is believed here but the stream's own form. Private to the cache module.
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace homelab::cache {

struct TarMember {
  enum class Kind { kFile, kLink, kFolder, kOther };
  Kind kind = Kind::kOther;
  std::string name;  ///< bytes as in the archive
  std::uint64_t size_bytes = 0;
  std::string link_text;
  std::string what;  ///< of kOther, for people: "a device", "a hard link", ...
};

/// One thread at a time.
class TarReader {
 public:
  /// `file` stays the caller's. `cancelled` is asked between reads; an interrupted read of a pipe
  /// asks it, too.
  [[nodiscard]] static Result<TarReader> open(int file, std::function<bool()> cancelled);
  TarReader(TarReader&&) noexcept;
  TarReader& operator=(TarReader&&) noexcept;
  ~TarReader();

  /// The next member, what was not read of the last one is passed over (by seeking, in a file).
  /// nullopt at the end. kDataLoss: cut off, or no tar.
  [[nodiscard]] Result<std::optional<TarMember>> next();
  /// The next piece of the member's content, valid until the next call; empty at its end. kDataLoss
  /// also for content with holes.
  [[nodiscard]] Result<std::span<std::byte const>> read();

 private:
  struct State;
  explicit TarReader(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace homelab::cache
