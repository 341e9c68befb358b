#include "process_facts.h"

#include <sys/resource.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "base/os/file.h"
#include "base/strings.h"

namespace homelab::api {
namespace {

constexpr std::size_t kLimitBytes = 1 << 16;

std::uint64_t number_at(std::vector<std::string_view> const& words, std::size_t index) {
  return index < words.size() ? parse_uint(words[index]).value_or(0) : 0;
}

/// Behind the name in brackets, which may hold anything; the first word is field 3 of proc(5).
void read_stat(ProcessFacts& facts) {
  auto const text = os::read_file("/proc/self/stat", kLimitBytes);
  if (!text) return;
  auto const words = split(trim(std::string_view(*text).substr(text->rfind(')') + 1)), ' ');
  constexpr std::size_t kFirstField = 3;
  auto const field = [&](std::size_t number) { return number_at(words, number - kFirstField); };
  auto const ticks = static_cast<double>(::sysconf(_SC_CLK_TCK));
  facts.cpu_seconds = static_cast<double>(field(14) + field(15)) / ticks;
  facts.threads = field(20);
  facts.virtual_bytes = field(23);
  facts.resident_bytes = field(24) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  facts.started_at = static_cast<double>(field(22)) / ticks;  // since the machine's start
}

std::uint64_t machine_start() {
  auto const text = os::read_file("/proc/stat", kLimitBytes * 16);
  if (!text) return 0;
  constexpr std::string_view kKey = "\nbtime ";
  auto const at = text->find(kKey);
  if (at == std::string::npos) return 0;
  auto const rest = std::string_view(*text).substr(at + kKey.size());
  return parse_uint(rest.substr(0, rest.find('\n'))).value_or(0);
}

}  // namespace

ProcessFacts process_facts() {
  ProcessFacts facts;
  read_stat(facts);
  facts.started_at += static_cast<double>(machine_start());
  std::error_code none;
  for (std::filesystem::directory_iterator entry("/proc/self/fd", none), end; !none && entry != end;
       entry.increment(none))
    ++facts.open_fds;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) facts.max_fds = limit.rlim_cur;
  return facts;
}

}  // namespace homelab::api
