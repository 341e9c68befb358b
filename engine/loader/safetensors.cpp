#include "loader/safetensors.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/json.h"
#include "base/strings.h"

namespace homelab::loader {
namespace {

static_assert(std::endian::native == std::endian::little, "the format is little-endian");

constexpr std::size_t kLengthBytes = 8;
constexpr std::size_t kMaxDimensions = 8;
constexpr std::size_t kMaxJsonDepth = 8;
constexpr std::string_view kMetadata = "__metadata__";

constexpr std::array<std::pair<std::string_view, std::uint64_t>, 15> kDtypes = {{{"F64", 8},
                                                                                 {"F32", 4},
                                                                                 {"F16", 2},
                                                                                 {"BF16", 2},
                                                                                 {"I64", 8},
                                                                                 {"I32", 4},
                                                                                 {"I16", 2},
                                                                                 {"I8", 1},
                                                                                 {"U64", 8},
                                                                                 {"U32", 4},
                                                                                 {"U16", 2},
                                                                                 {"U8", 1},
                                                                                 {"BOOL", 1},
                                                                                 {"F8_E5M2", 1},
                                                                                 {"F8_E4M3", 1}}};

tl::unexpected<Error> broken(std::string_view name, std::string_view rule) {
  return fail(Code::kDataLoss, fmt::format("safetensors header: tensor '{}': {}", name, rule));
}

Result<std::uint64_t> whole_number(json::value const& value, std::string_view name,
                                   std::string_view what) {
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0)
    return static_cast<std::uint64_t>(value.get_int64());
  return broken(name, fmt::format("{} must be whole numbers from 0 on", what));
}

/// Product of the shape and the element size, or an error when it does not fit 63 bits.
Result<std::uint64_t> byte_count(TensorInfo const& tensor) {
  std::uint64_t const element = dtype_bytes(tensor.dtype);
  if (element == 0) return broken(tensor.name, fmt::format("unknown dtype '{}'", tensor.dtype));
  std::uint64_t total = element;
  for (std::uint64_t const dimension : tensor.shape) {
    if (__builtin_mul_overflow(total, dimension, &total) || total > INT64_MAX)
      return broken(tensor.name, "shape is too large");
  }
  return total;
}

Result<TensorInfo> parse_tensor(std::string_view name, json::value const& value,
                                std::uint64_t data_bytes) {
  auto const* object = value.if_object();
  if (!object) return broken(name, "expected an object");
  auto const* shape = get_array(*object, "shape");
  auto const* offsets = get_array(*object, "data_offsets");
  auto const dtype = get_string(*object, "dtype");
  if (!dtype || !shape || !offsets || offsets->size() != 2)
    return broken(name, "expected dtype, shape and two data_offsets");
  if (shape->size() > kMaxDimensions) return broken(name, "has too many dimensions");

  TensorInfo tensor{.name = std::string(name), .dtype = *dtype};
  for (auto const& dimension : *shape) {
    ASSIGN_OR_RETURN(auto const size, whole_number(dimension, name, "shape"));
    tensor.shape.push_back(size);
  }
  ASSIGN_OR_RETURN(tensor.offset, whole_number((*offsets)[0], name, "data_offsets"));
  ASSIGN_OR_RETURN(auto const end, whole_number((*offsets)[1], name, "data_offsets"));
  if (end < tensor.offset || end > data_bytes) {
    return broken(name, fmt::format("bytes {}..{} are not inside the {} bytes of data",
                                    tensor.offset, end, data_bytes));
  }
  tensor.bytes = end - tensor.offset;
  ASSIGN_OR_RETURN(auto const expected, byte_count(tensor));
  if (tensor.bytes != expected) {
    return broken(name,
                  fmt::format("has {} bytes, its dtype and shape need {}", tensor.bytes, expected));
  }
  return tensor;
}

/// The format allows neither overlaps nor holes; this also catches a name that is in the header
/// twice.
Status check_coverage(std::vector<TensorInfo> const& sorted, std::uint64_t data_bytes) {
  std::uint64_t position = 0;
  for (auto const& tensor : sorted) {
    if (tensor.offset != position) {
      return broken(tensor.name, tensor.offset < position ? "overlaps another tensor"
                                                          : "leaves a hole before it");
    }
    position += tensor.bytes;
  }
  if (position != data_bytes) {
    return fail(Code::kDataLoss, fmt::format("safetensors: the header describes {} bytes of data, "
                                             "the file has {}",
                                             position, data_bytes));
  }
  return {};
}

Status read_fully(int file, std::uint64_t offset, std::span<std::byte> out) {
  while (!out.empty()) {
    ssize_t const got = ::pread(file, out.data(), out.size(), static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", "safetensors", errno);
    if (got == 0) return fail(Code::kDataLoss, "the file ends before its data does");
    offset += static_cast<std::uint64_t>(got);
    out = out.subspan(static_cast<std::size_t>(got));
  }
  return {};
}

}  // namespace

std::uint64_t dtype_bytes(std::string_view dtype) {
  for (auto const& [name, bytes] : kDtypes)
    if (name == dtype) return bytes;
  return 0;
}

std::uint64_t TensorInfo::elements() const {
  std::uint64_t const element = dtype_bytes(dtype);
  return element == 0 ? 0 : bytes / element;
}

Result<std::vector<TensorInfo>> parse_safetensors_header(std::string_view header,
                                                         std::uint64_t data_bytes) {
  auto const parsed = parse_json(trim(header), kMaxJsonDepth);
  if (!parsed) return fail(Code::kDataLoss, "safetensors header: " + parsed.error().message);
  auto const* object = parsed->if_object();
  if (!object) return fail(Code::kDataLoss, "safetensors header: expected a JSON object");
  std::vector<TensorInfo> tensors;
  tensors.reserve(object->size());
  for (auto const& [name, value] : *object) {
    if (name == kMetadata) continue;
    ASSIGN_OR_RETURN(auto tensor, parse_tensor(name, value, data_bytes));
    tensors.push_back(std::move(tensor));
  }
  std::sort(tensors.begin(), tensors.end(), [](TensorInfo const& a, TensorInfo const& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  RETURN_IF_ERROR(check_coverage(tensors, data_bytes));
  return tensors;
}

Result<SafetensorsFile> SafetensorsFile::open(std::filesystem::path const& path) {
  SafetensorsFile result;
  result.path_ = path;
  ASSIGN_OR_RETURN(auto const info, os::stat_target(path));
  ASSIGN_OR_RETURN(result.file_, os::open_file(path, O_RDONLY));
  auto const size = static_cast<std::uint64_t>(std::max<off_t>(info.st_size, 0));
  auto const damaged = [&](std::string_view what) {
    return fail(Code::kDataLoss, fmt::format("{}: {}", path.string(), what));
  };
  if (size < kLengthBytes) return damaged("not a safetensors file: shorter than its length field");
  std::uint64_t length = 0;
  RETURN_IF_ERROR(read_fully(result.file_.get(), 0, std::as_writable_bytes(std::span(&length, 1))));
  if (length > kMaxHeaderBytes || length > size - kLengthBytes) {
    return damaged(
        fmt::format("not a safetensors file, or cut off: claims a header of {} bytes in "
                    "a file of {}",
                    length, size));
  }
  std::string header(length, '\0');
  RETURN_IF_ERROR(
      read_fully(result.file_.get(), kLengthBytes, std::as_writable_bytes(std::span(header))));
  result.data_start_ = kLengthBytes + length;
  result.size_ = size;
  auto tensors = parse_safetensors_header(header, size - result.data_start_);
  if (!tensors) return fail(std::move(tensors.error()).in(path.string()));
  result.tensors_ = std::move(*tensors);
  return result;
}

Status SafetensorsFile::read(std::uint64_t offset, std::span<std::byte> out) const {
  auto status = read_fully(file_.get(), data_start_ + offset, out);
  if (!status) return fail(std::move(status.error()).in(path_.string()));
  return {};
}

Result<FileMapping> SafetensorsFile::map() const {
  return FileMapping::of(file_.get(), size_, path_.string());
}

}  // namespace homelab::loader
