#include "base/os/program_words.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace homelab::os {

std::vector<char*> null_terminated(std::vector<std::string>& words) {
  std::vector<char*> out;
  out.reserve(words.size() + 1);
  for (auto& text : words) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

std::vector<std::string> merged_environment(std::vector<std::string> extra) {
  std::size_t const count = extra.size();
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view const ours = *entry;
    std::string_view const name = ours.substr(0, ours.find('='));
    bool const replaced = std::any_of(
        extra.begin(), extra.begin() + static_cast<std::ptrdiff_t>(count),
        [&](auto const& text) { return std::string_view(text).substr(0, text.find('=')) == name; });
    if (!replaced) extra.emplace_back(ours);
  }
  return extra;
}

}  // namespace homelab::os
