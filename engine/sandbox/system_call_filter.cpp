#include "sandbox/system_call_filter.h"

#include <asm/ioctls.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>

namespace homelab::engine_process {
namespace {

#if defined(__x86_64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_X86_64;
constexpr std::uint32_t kX32 = 0x40000000;  // the same machine language with other numbers
#elif defined(__aarch64__)
constexpr std::uint32_t kArchitecture = AUDIT_ARCH_AARCH64;
constexpr std::uint32_t kX32 = 0;
#else
#error "say which architecture this is (AUDIT_ARCH_...)"
#endif

constexpr std::uint32_t kRefuse = SECCOMP_RET_ERRNO | EPERM;
/// The C library then takes an older call, which can be looked into.
constexpr std::uint32_t kUnknown = SECCOMP_RET_ERRNO | ENOSYS;
/// The kernel looks at the type in these bits only.
constexpr std::uint32_t kSocketTypeBits = 0xF;

/// Numbers that some architectures do not have are -1 here and are left out.
#ifndef __NR_fork
#define __NR_fork (-1)
#define __NR_vfork (-1)
#define __NR_chmod (-1)
#define __NR_chown (-1)
#define __NR_lchown (-1)
#define __NR_rename (-1)
#define __NR_link (-1)
#define __NR_symlink (-1)
#define __NR_mkdir (-1)
#define __NR_rmdir (-1)
#define __NR_mknod (-1)
#define __NR_creat (-1)
#define __NR_open (-1)
#define __NR_utime (-1)
#define __NR_utimes (-1)
#define __NR_futimesat (-1)
#define __NR_iopl (-1)
#define __NR_ioperm (-1)
#define __NR_modify_ldt (-1)
#endif
#ifndef __NR_renameat
#define __NR_renameat (-1)
#endif
#ifndef __NR_fchmodat2
#define __NR_fchmodat2 452
#endif

constexpr int kRefused[] = {
    // other programs and processes
    __NR_execve, __NR_execveat, __NR_fork, __NR_vfork, __NR_ptrace, __NR_process_vm_readv,
    __NR_process_vm_writev, __NR_process_madvise, __NR_pidfd_open, __NR_pidfd_getfd,
    __NR_pidfd_send_signal, __NR_kcmp, __NR_tkill, __NR_rt_sigqueueinfo, __NR_rt_tgsigqueueinfo,
    __NR_setns, __NR_unshare,
    // the network: an engine only takes connections of its own socket
    __NR_connect, __NR_bind,
    // would work behind this filter's back
    __NR_io_uring_setup, __NR_io_uring_enter, __NR_io_uring_register,
    // the machine
    __NR_mount, __NR_umount2, __NR_pivot_root, __NR_chroot, __NR_open_tree, __NR_move_mount,
    __NR_fsopen, __NR_fsconfig, __NR_fsmount, __NR_fspick, __NR_mount_setattr, __NR_swapon,
    __NR_swapoff, __NR_reboot, __NR_kexec_load, __NR_init_module, __NR_finit_module,
    __NR_delete_module, __NR_settimeofday, __NR_clock_settime, __NR_clock_adjtime, __NR_adjtimex,
    __NR_sethostname, __NR_setdomainname, __NR_acct, __NR_quotactl, __NR_syslog, __NR_vhangup,
    __NR_iopl, __NR_ioperm, __NR_modify_ldt, __NR_personality,
    // the kernel's insides, where its bugs were found
    __NR_bpf, __NR_perf_event_open, __NR_userfaultfd, __NR_keyctl, __NR_add_key, __NR_request_key,
    __NR_open_by_handle_at, __NR_name_to_handle_at, __NR_fanotify_init,
    // other rights than the kernel gave
    __NR_setuid, __NR_setgid, __NR_setreuid, __NR_setregid, __NR_setresuid, __NR_setresgid,
    __NR_setgroups, __NR_setfsuid, __NR_setfsgid, __NR_capset,
    // new names, owners and rights of files: Landlock does not know all of these
    __NR_chmod, __NR_fchmod, __NR_fchmodat, __NR_fchmodat2, __NR_chown, __NR_lchown, __NR_fchown,
    __NR_fchownat, __NR_rename, __NR_renameat, __NR_renameat2, __NR_link, __NR_linkat, __NR_symlink,
    __NR_symlinkat, __NR_mkdir, __NR_mkdirat, __NR_rmdir, __NR_mknod, __NR_mknodat, __NR_creat,
    __NR_truncate, __NR_setxattr, __NR_lsetxattr, __NR_fsetxattr, __NR_removexattr,
    __NR_lremovexattr, __NR_fremovexattr, __NR_utime, __NR_utimes, __NR_futimesat, __NR_utimensat};

/// Writes one filter program.
class Program {
 public:
  void load(std::size_t offset) {
    add(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset), 0, 0);
  }
  void give(std::uint32_t verdict) { add(BPF_RET | BPF_K, verdict, 0, 0); }
  /// `verdict`, if the loaded word is `value`.
  void give_if_equal(std::uint32_t value, std::uint32_t verdict) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    give(verdict);
  }
  void give_unless_equal(std::uint32_t value, std::uint32_t verdict) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    give(verdict);
  }
  void give_if_any_bit(std::uint32_t bits, std::uint32_t verdict) {
    add(BPF_JMP | BPF_JSET | BPF_K, bits, 0, 1);
    give(verdict);
  }
  void give_unless_any_bit(std::uint32_t bits, std::uint32_t verdict) {
    add(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0);
    give(verdict);
  }
  void keep_bits(std::uint32_t bits) { add(BPF_ALU | BPF_AND | BPF_K, bits, 0, 0); }
  /// `rules` for one system call, which end in kAllow; the loaded word is the call's number.
  void for_call(int number, Program const& rules) {
    if (number < 0) return;
    auto const length = static_cast<std::uint8_t>(rules.out_.size() + 1);
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(number), 0, length);
    out_.insert(out_.end(), rules.out_.begin(), rules.out_.end());
    give(SECCOMP_RET_ALLOW);
  }
  [[nodiscard]] std::vector<sock_filter> take() { return std::move(out_); }

 private:
  void add(int code, std::uint32_t k, std::uint8_t if_true, std::uint8_t if_false) {
    out_.push_back({static_cast<std::uint16_t>(code), if_true, if_false, k});
  }
  std::vector<sock_filter> out_;
};

/// The low half of an argument: the kernel takes `int` and flags from there.
constexpr std::size_t argument(std::size_t index) {
  return offsetof(seccomp_data, args) + index * sizeof(std::uint64_t);
}

Program unix_streams_only() {
  Program rules;
  rules.load(argument(0));
  rules.give_unless_equal(AF_UNIX, kRefuse);
  rules.load(argument(1));
  rules.keep_bits(kSocketTypeBits);
  rules.give_unless_equal(SOCK_STREAM, kRefuse);
  return rules;
}

Program first_argument_is(std::uint32_t value) {
  Program rules;
  rules.load(argument(0));
  rules.give_unless_equal(value, kRefuse);
  return rules;
}

Program threads_only() {
  Program rules;
  rules.load(argument(0));
  rules.give_unless_any_bit(CLONE_THREAD, kRefuse);
  return rules;
}

/// With O_TMPFILE a file is made without O_CREAT.
Program nothing_made(std::size_t flags) {
  constexpr std::uint32_t kMakesFile = O_CREAT | (O_TMPFILE & ~O_DIRECTORY);
  Program rules;
  rules.load(argument(flags));
  rules.give_if_any_bit(kMakesFile, kRefuse);
  return rules;
}

Program not_when(std::size_t index, std::initializer_list<std::uint32_t> values) {
  Program rules;
  rules.load(argument(index));
  for (auto const value : values) rules.give_if_equal(value, kRefuse);
  return rules;
}

}  // namespace

std::vector<sock_filter> system_call_filter(int own_pid) {
  Program program;
  program.load(offsetof(seccomp_data, arch));
  program.give_unless_equal(kArchitecture, SECCOMP_RET_KILL_PROCESS);
  program.load(offsetof(seccomp_data, nr));
  if (kX32 != 0) program.give_if_any_bit(kX32, kRefuse);
  for (int const number : kRefused)
    if (number >= 0) program.give_if_equal(static_cast<std::uint32_t>(number), kRefuse);
  program.give_if_equal(__NR_clone3, kUnknown);
  program.give_if_equal(__NR_openat2, kUnknown);
  auto const pid = static_cast<std::uint32_t>(own_pid);
  program.for_call(__NR_socket, unix_streams_only());
  program.for_call(__NR_socketpair, unix_streams_only());
  program.for_call(__NR_kill, first_argument_is(pid));
  program.for_call(__NR_tgkill, first_argument_is(pid));
  program.for_call(__NR_clone, threads_only());
  program.for_call(__NR_open, nothing_made(1));
  program.for_call(__NR_openat, nothing_made(2));
  // Back to being traceable; typing into the terminal the process was started from.
  program.for_call(__NR_prctl, not_when(0, {PR_SET_DUMPABLE, PR_SET_PTRACER}));
  program.for_call(__NR_ioctl, not_when(1, {TIOCSTI, TIOCLINUX}));
  program.give(SECCOMP_RET_ALLOW);
  return program.take();
}

bool apply_filter(std::vector<sock_filter> filter) {
  sock_fprog const program{static_cast<unsigned short>(filter.size()), filter.data()};
  return ::syscall(__NR_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) == 0;
}

}  // namespace homelab::engine_process
