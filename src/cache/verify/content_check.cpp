#include "content_check.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <memory>
#include <span>

#include "base/hash.h"
#include "mapped_file.h"
#include "partial_state.h"

namespace homelab::cache {
namespace {

/// Larger pieces leave the processor's cache between copying and hashing: 1.42 GB/s with 128 KiB,
/// 1.39 with 1 MiB, where the hash alone does 1.58.
constexpr std::size_t kPieceBytes = 128 * 1024;
/// Between two looks whether to stop, where nothing is copied.
constexpr std::size_t kMappedPieceBytes = 1024 * 1024;
constexpr std::uint64_t kDropBytes = 8 * 1024 * 1024;
constexpr std::int64_t kSecond = 1'000'000'000;

std::int64_t nanoseconds(timespec const& time) {
  return static_cast<std::int64_t>(time.tv_sec) * kSecond + time.tv_nsec;
}

/// Looks at samples of the file: true when more than half of their pages are in memory, or when
/// the kernel does not tell.
bool is_mostly_cached(int file, std::uint64_t size_bytes) {
  constexpr std::uint64_t kSamples = 32;
  constexpr std::size_t kSampleBytes = 64 * 1024;
  auto const page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::array<unsigned char, 16> resident{};
  std::size_t looked = 0;
  std::size_t found = 0;
  for (std::uint64_t i = 0; i < kSamples; ++i) {
    std::uint64_t const at = size_bytes / kSamples * i / page * page;
    auto const length =
        static_cast<std::size_t>(std::min<std::uint64_t>(kSampleBytes, size_bytes - at));
    std::size_t const pages = std::min((length + page - 1) / page, resident.size());
    void* const mapped =
        ::mmap(nullptr, pages * page, PROT_NONE, MAP_SHARED, file, static_cast<off_t>(at));
    if (mapped == MAP_FAILED) return true;
    bool const told = ::mincore(mapped, pages * page, resident.data()) == 0;
    ::munmap(mapped, pages * page);
    if (!told) return true;
    looked += pages;
    found += static_cast<std::size_t>(
        std::count_if(resident.begin(), resident.begin() + static_cast<std::ptrdiff_t>(pages),
                      [](unsigned char bits) { return (bits & 1U) != 0; }));
  }
  return found * 2 > looked;
}

/// Leaves the page cache as it was, roughly.
class PageCacheGuest {
 public:
  PageCacheGuest(int file, std::uint64_t size_bytes)
      : file_(file), drops_(size_bytes >= kDropBytes && !is_mostly_cached(file, size_bytes)) {
    ::posix_fadvise(file, 0, 0, POSIX_FADV_SEQUENTIAL);
  }
  [[nodiscard]] bool drops() const { return drops_; }
  /// Everything before `at` was read.
  void passed(std::uint64_t at, bool last) {
    if (!drops_ || (!last && at - dropped_ < kDropBytes)) return;
    // Pages that are dirty or mapped by somebody stay, whatever is asked here.
    ::posix_fadvise(file_, static_cast<off_t>(dropped_), static_cast<off_t>(at - dropped_),
                    POSIX_FADV_DONTNEED);
    dropped_ = at;
  }

 private:
  int file_;
  bool drops_;
  std::uint64_t dropped_ = 0;
};

enum class Reading { kDone, kFailed, kCancelled, kNotMapped };

/// What is in the page cache is hashed where it lies. kNotMapped: not possible here, or some of it
/// could not be read; a plain reading tells what it is.
Reading read_mapped(int file, std::uint64_t size_bytes, Hasher& hasher, ContentWatch const& watch) {
  MappedFile mapped(file);
  for (std::uint64_t at = 0; at < size_bytes; at += MappedFile::kWindowBytes) {
    auto const length = std::min<std::uint64_t>(MappedFile::kWindowBytes, size_bytes - at);
    auto const window = mapped.show(at, static_cast<std::size_t>(length));
    if (!window) return Reading::kNotMapped;
    for (std::size_t from = 0; from < window->size(); from += kMappedPieceBytes) {
      if (watch.cancelled && watch.cancelled()) return Reading::kCancelled;
      auto const piece = window->subspan(from, std::min(kMappedPieceBytes, window->size() - from));
      hasher.update(piece);
      if (watch.on_bytes) watch.on_bytes(piece.size());
    }
    if (mapped.broke()) return Reading::kNotMapped;
  }
  return Reading::kDone;
}

Reading read_copied(int file, std::uint64_t size_bytes, Hasher& hasher, ContentWatch const& watch,
                    PageCacheGuest& guest) {
  struct Free {
    void operator()(void* memory) const { std::free(memory); }
  };
  std::unique_ptr<std::byte, Free> const buffer(
      static_cast<std::byte*>(std::aligned_alloc(4096, kPieceBytes)));
  std::uint64_t at = 0;
  while (at < size_bytes) {
    if (watch.cancelled && watch.cancelled()) return Reading::kCancelled;
    ssize_t const got = ::pread(file, buffer.get(), kPieceBytes, static_cast<off_t>(at));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Reading::kFailed;
    if (got == 0) break;  // became shorter; the facts tell
    hasher.update(std::span(buffer.get(), static_cast<std::size_t>(got)));
    at += static_cast<std::uint64_t>(got);
    if (watch.on_bytes) watch.on_bytes(static_cast<std::uint64_t>(got));
    guest.passed(at, false);
  }
  guest.passed(at, true);
  return Reading::kDone;
}

/// The hash is in `hasher` when it is done.
Reading read_all(int file, BlobName const& hash, std::uint64_t size_bytes, Hasher& hasher,
                 ContentWatch const& watch) {
  PageCacheGuest guest(file, size_bytes);
  if (size_bytes >= kDropBytes && !guest.drops()) {
    auto const reading = read_mapped(file, size_bytes, hasher, watch);
    if (reading != Reading::kNotMapped) return reading;
    hasher = hasher_for(hash, size_bytes);
  }
  return read_copied(file, size_bytes, hasher, watch, guest);
}

}  // namespace

FileFacts facts_of(struct stat const& file) {
  return {static_cast<std::uint64_t>(file.st_size), file.st_ino, nanoseconds(file.st_mtim),
          nanoseconds(file.st_ctim)};
}

bool is_settled(FileFacts const& facts, std::int64_t now_ns) {
  bool const whole_seconds = facts.changed_ns % kSecond == 0;
  std::int64_t const needed = whole_seconds ? 3 * kSecond : kSecond / 10;
  return now_ns - facts.changed_ns >= needed;
}

std::int64_t file_clock_ns() {
  timespec now{};
  // Never ahead of what the kernel writes into files.
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return nanoseconds(now);
}

ContentCheck check_content(int file, BlobName const& hash, ContentWatch const& watch) {
  ContentCheck check;
  struct stat found{};
  auto const unreadable = [&] {
    check.outcome = ContentCheck::Outcome::kUnreadable;
    check.why = std::strerror(errno);  // NOLINT(concurrency-mt-unsafe): glibc's is per thread
    return check;
  };
  if (::fstat(file, &found) != 0) return unreadable();
  check.facts = facts_of(found);
  check.settled = is_settled(check.facts, file_clock_ns());
  Hasher hasher = hasher_for(hash, check.facts.size_bytes);
  auto const reading = read_all(file, hash, check.facts.size_bytes, hasher, watch);
  if (reading == Reading::kFailed) return unreadable();
  if (reading == Reading::kCancelled) return check;
  std::string got = hasher.finish();
  bool const same = ::fstat(file, &found) == 0 && facts_of(found) == check.facts;
  check.settled = check.settled && same;
  if (got == hash.text()) {
    check.outcome = ContentCheck::Outcome::kGood;
  } else if (!same) {
    check.outcome = ContentCheck::Outcome::kChanged;
  } else {
    check.outcome = ContentCheck::Outcome::kWrong;
    check.found = std::move(got);
  }
  return check;
}

}  // namespace homelab::cache
