#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "base/strings.h"
#include "durable_step.h"
#include "partial_state.h"

namespace homelab::cache {
namespace {

/// Dirty pages are given to the disk in steps of this size while the download runs, so that the
/// sync at the end of a large file has little left to wait for.
constexpr std::uint64_t kPushBytes = 8UL * 1024 * 1024;
constexpr std::size_t kReadBytes = 1024UL * 1024;

tl::unexpected<Error> disk_full(std::string const& shown, std::uint64_t needed,
                                std::uint64_t free) {
  return fail(
      Code::kResourceExhausted,
      fmt::format("{}: {} more are needed, {} are free on this file system; free some space "
                  "or use another cache location",
                  shown, human_bytes(needed), human_bytes(free)));
}

}  // namespace

std::string part_name_of(BlobName const& name) { return name.text() + ".homelab.part"; }

Hasher hasher_for(BlobName const& name, std::uint64_t size_bytes) {
  return name.is_sha256() ? Hasher::sha256() : Hasher::git_blob(size_bytes);
}

Status reserve(int file, std::string const& shown, std::uint64_t size_bytes,
               std::uint64_t left_bytes) {
  if (left_bytes == 0) return {};
  struct statvfs disk{};
  struct stat found{};
  if (::fstatvfs(file, &disk) != 0 || ::fstat(file, &found) != 0)
    return fail_errno("ask free space for", shown, errno);
  std::uint64_t const held = static_cast<std::uint64_t>(found.st_blocks) * 512;
  std::uint64_t const needed = size_bytes > held ? size_bytes - held : 0;
  std::uint64_t const free = disk.f_bavail * disk.f_frsize;
  if (needed > free) return disk_full(shown, needed, free);
  int result = 0;
  do {
    result = ::fallocate(file, FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(size_bytes));
  } while (result != 0 && errno == EINTR);
  // Some file systems cannot reserve; the check above is all there is then.
  if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS) return {};
  if (errno == ENOSPC || errno == EDQUOT) {
    // The part that could be reserved is given back: the disk is needed by others now.
    [[maybe_unused]] int const ignored = ::ftruncate(file, found.st_size);
    return disk_full(shown, needed, free);
  }
  return fail_errno("reserve space for", shown, errno);
}

Status hash_existing(int file, std::uint64_t length_bytes, Hasher& hasher) {
  std::vector<std::byte> buffer(kReadBytes);
  for (std::uint64_t at = 0; at < length_bytes;) {
    ssize_t const got = ::pread(file, buffer.data(), buffer.size(), static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno("read", "partial download", errno);
    if (got == 0)
      return fail(Code::kDataLoss, "the partial download became shorter while it was read");
    hasher.update(std::span(buffer).first(static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
  }
  return {};
}

PartialBlob::PartialBlob(std::unique_ptr<State> state) : state_(std::move(state)) {}
PartialBlob::PartialBlob(PartialBlob&&) noexcept = default;
PartialBlob& PartialBlob::operator=(PartialBlob&&) noexcept = default;
PartialBlob::~PartialBlob() = default;

BlobName const& PartialBlob::name() const { return state_->blob_name; }
std::uint64_t PartialBlob::expected_bytes() const { return state_->expected; }
std::uint64_t PartialBlob::written_bytes() const { return state_->written; }

Status PartialBlob::append(std::span<std::byte const> bytes) {
  State& state = *state_;
  if (bytes.size() > state.expected - state.written) {
    return fail(Code::kDataLoss, fmt::format("{}: more than the announced {} bytes came",
                                             state.blob_name.text(), state.expected));
  }
  durable_step("write blob");
  if (auto written = os::write_all_at(state.file.get(), bytes, state.written); !written)
    return fail(std::move(written).error().in(state.blobs.in(state.part_name)));
  state.hasher.update(bytes);
  state.written += bytes.size();
  if (state.written - state.pushed >= kPushBytes) {
    // Only a hint to start writing; the promise is fdatasync in commit().
    ::sync_file_range(state.file.get(), static_cast<off_t>(state.pushed),
                      static_cast<off_t>(state.written - state.pushed), SYNC_FILE_RANGE_WRITE);
    state.pushed = state.written;
  }
  return {};
}

Status PartialBlob::restart() {
  State& state = *state_;
  durable_step("empty partial");
  if (::ftruncate(state.file.get(), 0) != 0)
    return fail_errno("empty", state.blobs.in(state.part_name), errno);
  state.hasher = hasher_for(state.blob_name, state.expected);
  state.written = 0;
  state.pushed = 0;
  return reserve(state.file.get(), state.blobs.in(state.part_name), state.expected, state.expected);
}

}  // namespace homelab::cache
