#include "loader/file_mapping.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace homelab::loader {

Result<FileMapping> FileMapping::of(int descriptor, std::uint64_t bytes, std::string const& name) {
  FileMapping result;
  result.name_ = name;
  if (bytes == 0) return result;
  void* const at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0);
  if (at == MAP_FAILED) {
    return fail(Code::kResourceExhausted,
                fmt::format("{}: cannot be mapped: {}", name,
                            std::error_code(errno, std::generic_category()).message()));
  }
  result.bytes_ = {static_cast<std::byte*>(at), bytes};
  return result;
}

FileMapping::FileMapping(FileMapping&& other) noexcept
    : bytes_(std::exchange(other.bytes_, {})), name_(std::move(other.name_)) {}

FileMapping& FileMapping::operator=(FileMapping&& other) noexcept {
  if (this == &other) return *this;
  unmap();
  bytes_ = std::exchange(other.bytes_, {});
  name_ = std::move(other.name_);
  return *this;
}

FileMapping::~FileMapping() { unmap(); }

void FileMapping::unmap() {
  if (!bytes_.empty()) ::munmap(bytes_.data(), bytes_.size());
}

Status FileMapping::read_ahead(std::uint64_t offset, std::uint64_t length) const {
  if (length == 0) return {};
  auto const page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::uint64_t const begin = offset / page * page;
  std::byte* const at = bytes_.data() + begin;
  std::uint64_t const count = offset + length - begin;
  while (::madvise(at, count, MADV_POPULATE_READ) != 0) {
    if (errno == EINTR || errno == EAGAIN) continue;
    if (errno == EFAULT)
      return fail(Code::kDataLoss, name_ + ": the file ends before its data does");
    // A kernel before 5.14 reads them when they are used.
    (void)::madvise(at, count, MADV_WILLNEED);
    break;
  }
  return {};
}

}  // namespace homelab::loader
