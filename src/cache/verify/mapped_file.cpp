#include "mapped_file.h"

#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>

namespace homelab::cache {
namespace {

/// What the handler knows of its thread. Written with plain stores, read by a handler on the same
/// thread: lock-free atomics keep the compiler from moving them.
struct Window {
  std::atomic<std::byte*> begin{nullptr};
  std::atomic<std::size_t> length{0};
  std::atomic<bool> broke{false};
};
static_assert(std::atomic<std::byte*>::is_always_lock_free &&
              std::atomic<std::size_t>::is_always_lock_free);

constinit thread_local Window window;

struct sigaction previous{};

/// As if this handler were not there.
void pass_on(int number, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(number, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(number);
  } else {
    // A real fault happens again after the return, a sent signal must be sent again.
    ::sigaction(number, &previous, nullptr);
    if (info->si_code <= 0) ::raise(number);
  }
}

void on_bus_error(int number, siginfo_t* info, void* context) {
  int const saved = errno;
  auto* const begin = window.begin.load(std::memory_order_relaxed);
  std::size_t const length = window.length.load(std::memory_order_relaxed);
  auto const* const at = static_cast<std::byte const*>(info->si_addr);
  bool const ours = info->si_code > 0 && begin != nullptr && at >= begin && at < begin + length;
  // The whole window, so that the kernel keeps one mapping; the reading goes on with zeros.
  if (ours && ::mmap(begin, length, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
                  MAP_FAILED) {
    window.broke.store(true, std::memory_order_relaxed);
  } else {
    pass_on(number, info, context);
  }
  errno = saved;
}

bool install_handler() {
  struct sigaction ours{};
  ours.sa_sigaction = on_bus_error;
  ours.sa_flags = SA_SIGINFO | SA_ONSTACK;
  sigemptyset(&ours.sa_mask);
  return ::sigaction(SIGBUS, nullptr, &previous) == 0 && ::sigaction(SIGBUS, &ours, nullptr) == 0;
}

}  // namespace

std::optional<std::span<std::byte const>> MappedFile::show(std::uint64_t at, std::size_t length) {
  static bool const installed = install_handler();
  hide();
  if (!installed || length == 0) return std::nullopt;
  void* const memory =
      ::mmap(nullptr, length, PROT_READ, MAP_PRIVATE, file_, static_cast<off_t>(at));
  if (memory == MAP_FAILED) return std::nullopt;
  ::madvise(memory, length, MADV_SEQUENTIAL);
  window.broke.store(false, std::memory_order_relaxed);
  window.length.store(length, std::memory_order_relaxed);
  window.begin.store(static_cast<std::byte*>(memory), std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  shown_ = true;
  return std::span(static_cast<std::byte const*>(memory), length);
}

bool MappedFile::broke() const {
  std::atomic_signal_fence(std::memory_order_seq_cst);
  return broke_before_ || (shown_ && window.broke.load(std::memory_order_relaxed));
}

void MappedFile::hide() {
  if (!shown_) return;
  broke_before_ = broke();
  auto* const begin = window.begin.exchange(nullptr, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  ::munmap(begin, window.length.load(std::memory_order_relaxed));
  shown_ = false;
}

}  // namespace homelab::cache
