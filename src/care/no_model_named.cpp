#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "care/work.h"

namespace homelab::care {

Error no_model_named(std::string_view name, std::vector<std::string> const& registered) {
  constexpr std::size_t kShownNames = 10;
  std::string known = "no model is registered yet";
  if (!registered.empty()) {
    auto const end =
        registered.begin() + static_cast<std::ptrdiff_t>(std::min(kShownNames, registered.size()));
    known = fmt::format("registered are: {}{}", fmt::join(registered.begin(), end, ", "),
                        registered.size() > kShownNames ? ", ..." : "");
  }
  return {Code::kNotFound, fmt::format("no model is named '{}'; {}", trim(name), known)};
}

}  // namespace homelab::care
