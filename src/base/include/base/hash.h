#pragma once
// SHA-256, SHA-1 and git blob ids through OpenSSL.
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace homelab {

/// Incremental hash. Not thread-safe; one object hashes one stream of bytes.
class Hasher {
 public:
  [[nodiscard]] static Hasher sha256();
  /// The id git gives a file of exactly `size_bytes` bytes: sha1("blob <size>\0" + content).
  [[nodiscard]] static Hasher git_blob(std::uint64_t size_bytes);

  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(std::span<std::byte const> bytes);
  void update(std::string_view text) { update(std::as_bytes(std::span(text))); }
  /// Lower-case hex of everything given so far; the object must not be used afterwards.
  [[nodiscard]] std::string finish();

 private:
  struct State;
  explicit Hasher(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// Lower-case hex SHA-256 of `text` (64 characters).
[[nodiscard]] std::string sha256_hex(std::string_view text);
/// `count` random bytes as lower-case hex (2*count characters).
[[nodiscard]] std::string random_hex(std::size_t count);

}  // namespace homelab
