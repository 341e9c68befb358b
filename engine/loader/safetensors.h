#pragma once
// Reads the safetensors format (header: 8 bytes little-endian length, then JSON; data: the rest,
// without holes). Everything in the header is checked before one tensor byte is trusted.
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/os/file.h"
#include "base/result.h"
#include "loader/file_mapping.h"

namespace homelab::loader {

/// The format's own bound on the length of a header.
constexpr std::uint64_t kMaxHeaderBytes = 100'000'000;

struct TensorInfo {
  std::string name;
  std::string dtype;                   ///< the format's word: "BF16", "F16", "F32", ...
  std::vector<std::uint64_t> shape{};  ///< row-major, slowest first; empty for a scalar
  std::uint64_t offset = 0;            ///< from the start of the data, in bytes
  std::uint64_t bytes = 0;

  [[nodiscard]] std::uint64_t elements() const;
};

/// Bytes of one element, 0 for a dtype this program does not know.
[[nodiscard]] std::uint64_t dtype_bytes(std::string_view dtype);

/// Checks and parses the JSON part. `data_bytes` is what follows it in the file: the tensors must
/// cover it exactly, without overlap. Result is sorted by offset. Errors: kDataLoss naming the
/// tensor and the rule that is broken.
[[nodiscard]] Result<std::vector<TensorInfo>> parse_safetensors_header(std::string_view header,
                                                                       std::uint64_t data_bytes);

/// An open safetensors file. Reading is thread-safe; the descriptor keeps the file even if its name
/// goes.
class SafetensorsFile {
 public:
  /// Opens `path`, checks its header and that the file has the length the header claims.
  [[nodiscard]] static Result<SafetensorsFile> open(std::filesystem::path const& path);

  [[nodiscard]] std::vector<TensorInfo> const& tensors() const { return tensors_; }
  [[nodiscard]] std::filesystem::path const& path() const { return path_; }

  /// Fills `out` from data offset `offset` on. Errors: kDataLoss if the file has become shorter.
  [[nodiscard]] Status read(std::uint64_t offset, std::span<std::byte> out) const;

  /// The whole file as memory; its data begin at data_start(). Errors: kResourceExhausted.
  [[nodiscard]] Result<FileMapping> map() const;
  [[nodiscard]] std::uint64_t data_start() const { return data_start_; }

 private:
  std::filesystem::path path_;
  os::UniqueFd file_;
  std::uint64_t data_start_ = 0;
  std::uint64_t size_ = 0;
  std::vector<TensorInfo> tensors_;
};

}  // namespace homelab::loader
