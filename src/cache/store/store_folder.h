#pragma once
// The shared blob store of a hub folder: <hub>/blobs/<two hex>/<64 hex> (hf-cache rules, §6).
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "cache/hub_folder.h"
#include "folder_at.h"

namespace homelab::cache {

enum class StoreState {
  kNone,     ///< no such folder
  kMarked,   ///< a store of this layout
  kEmpty,    ///< an empty folder: Python would mark and use it
  kForeign,  ///< something else: nobody uses it as a store
};
[[nodiscard]] StoreState store_state(Path const& hub_folder);

/// The payload that a link in <repo>/blobs names, given the text of the link and the hub folder it
/// stands in; nullopt when it leads anywhere else.
[[nodiscard]] std::optional<std::string> payload_of_link(std::string_view text,
                                                         Path const& hub_folder);
/// "../../blobs/<hh>/<hash>"
[[nodiscard]] std::string payload_link(std::string_view hash);
[[nodiscard]] Path payload_path(Path const& hub_folder, std::string_view hash);

/// The payload appears in the target's store too, as a second name of the same file; the store is
/// made and marked when there is none. kNotFound: the source has no such payload;
/// kFailedPrecondition: no hard links between the two, or the target's folder is no store.
[[nodiscard]] Status bring_payload(Path const& source_hub, Path const& target_hub,
                                   std::string const& hash);

/// Every payload of a marked store.
[[nodiscard]] Result<std::vector<std::string>> payloads(Path const& hub_folder);

/// Appends "<repo folder>/blobs/<etag>" to the payload's manifest, durably; must happen before the
/// link appears. Takes the payload's lock.
[[nodiscard]] Status note_reference(Path const& hub_folder, std::string const& hash,
                                    std::string const& blob);

}  // namespace homelab::cache
