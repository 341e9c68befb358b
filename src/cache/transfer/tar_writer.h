#pragma once
// A tar stream through libarchive, with only what an archive of a cache needs: the same members
// always give the same bytes. Private to the cache module.
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/result.h"

namespace homelab::cache {

/// GNU tar's form, which every tar reads: names are bytes of any length, files may be longer than
/// 8 GiB. Owner, mode and time are always the same.
class TarWriter {
 public:
  using Sink = std::function<Status(std::span<std::byte const>)>;
  /// Errors of `sink` are returned by the call in which they happened.
  explicit TarWriter(Sink sink);
  ~TarWriter();
  TarWriter(TarWriter const&) = delete;
  TarWriter& operator=(TarWriter const&) = delete;

  /// Then exactly `size_bytes` by write().
  [[nodiscard]] Status begin_file(std::string const& name, std::uint64_t size_bytes);
  [[nodiscard]] Status write(std::span<std::byte const> bytes);
  [[nodiscard]] Status file(std::string const& name, std::string_view content);
  [[nodiscard]] Status link(std::string const& name, std::string const& text);
  /// The archive's end. Without it a reader knows that something is missing.
  [[nodiscard]] Status finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Bytes that a file, or a link (`text` not empty), takes in the stream.
[[nodiscard]] Result<std::uint64_t> tar_file_bytes(std::string const& name,
                                                   std::uint64_t size_bytes);
[[nodiscard]] Result<std::uint64_t> tar_link_bytes(std::string const& name,
                                                   std::string const& text);
/// Bytes of the archive's end.
inline constexpr std::uint64_t kTarEndBytes = 1024;

}  // namespace homelab::cache
