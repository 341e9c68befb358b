#include "base/os/memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <string_view>

#include "base/os/file.h"
#include "base/strings.h"

namespace homelab::os {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxBytes = 1 << 16;
constexpr std::uint64_t kKibibyte = 1024;

/// The number behind "Name:" (meminfo, status) or "name " (memory.stat).
std::optional<std::uint64_t> number_of(std::string_view text, std::string_view name) {
  for (auto const& line : split(text, '\n')) {
    std::string_view rest(line);
    if (!rest.starts_with(name)) continue;
    rest.remove_prefix(name.size());
    if (rest.empty() || (rest.front() != ':' && rest.front() != ' ')) continue;
    rest = trim(rest.substr(1));
    return parse_uint(rest.substr(0, rest.find(' ')));
  }
  return std::nullopt;
}

std::optional<std::uint64_t> number_in(fs::path const& file) {
  auto const text = read_file(file, kMaxBytes);
  return text ? parse_uint(trim(*text)) : std::nullopt;
}

/// What is left below one group's limit; nullopt when it has none. Pages of files are given back
/// when somebody needs them, so they do not count as used.
std::optional<std::uint64_t> left_in_group(fs::path const& group) {
  auto const limit = number_in(group / "memory.max");
  auto const used = number_in(group / "memory.current");
  if (!limit || !used) return std::nullopt;
  auto const stat = read_file(group / "memory.stat", kMaxBytes);
  std::uint64_t const files = stat ? number_of(*stat, "inactive_file").value_or(0) : 0;
  std::uint64_t const taken = *used - std::min(*used, files);
  return *limit - std::min(*limit, taken);
}

/// The group's name out of /proc/self/cgroup ("0::/name"); "/" inside most containers.
std::string own_group(fs::path const& root) {
  auto const text = read_file(root / "proc/self/cgroup", kMaxBytes);
  for (auto const& line : text ? split(*text, '\n') : std::vector<std::string_view>{})
    if (line.starts_with("0::/")) return std::string(line.substr(4));
  return {};
}

}  // namespace

Result<std::uint64_t> available_memory(fs::path const& root) {
  auto const text = read_file(root / "proc/meminfo", kMaxBytes);
  auto const kibibytes = text ? number_of(*text, "MemAvailable") : std::nullopt;
  if (!kibibytes) return fail(Code::kUnavailable, "/proc/meminfo says no MemAvailable");
  std::uint64_t available = *kibibytes * kKibibyte;
  // Limits of the groups above count as well.
  fs::path const top = root / "sys/fs/cgroup";
  for (fs::path group = own_group(root);; group = group.parent_path()) {
    if (auto const left = left_in_group(top / group)) available = std::min(available, *left);
    if (group.empty()) return available;
  }
}

std::optional<ProcessMemory> process_memory(int pid) {
  auto const text = read_file(fmt::format("/proc/{}/status", pid), kMaxBytes);
  if (!text) return std::nullopt;
  auto const anonymous = number_of(*text, "RssAnon");
  auto const shared = number_of(*text, "RssShmem");
  auto const files = number_of(*text, "RssFile");
  if (!anonymous || !shared || !files) return std::nullopt;
  return ProcessMemory{(*anonymous + *shared) * kKibibyte, *files * kKibibyte};
}

}  // namespace homelab::os
