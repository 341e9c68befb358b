#pragma once
// Names of files that are not finished, and whether somebody works on them right now.
#include <optional>
#include <string_view>

#include "findings.h"

namespace homelab::cache::scan {

struct LeftoverName {
  Leftover::Kind kind;
  std::string_view blob;  ///< the blob that it would become; empty: not known
};

/// nullopt: `name` in blobs/ is no leftover's name (hf-cache rules, §2.2, §6, §7).
[[nodiscard]] std::optional<LeftoverName> leftover_in_blobs(std::string_view name);

/// Likewise for refs/ and trees/.
[[nodiscard]] bool is_temporary_ref(std::string_view name);
[[nodiscard]] bool is_temporary_tree(std::string_view name);

/// True while the blob's etag lock, or for an own partial the file itself, is locked by somebody.
/// Both are only asked for (shared, without waiting), nothing is created.
[[nodiscard]] bool is_live(Findings const& findings, int blobs, char const* file_name,
                           LeftoverName const& name);

}  // namespace homelab::cache::scan
