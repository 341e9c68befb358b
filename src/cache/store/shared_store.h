#pragma once
// The shared blob store of a hub folder (hf-cache rules, §6): who uses a payload, and removing one
// that nobody uses. Private to the cache module.
#include <functional>
#include <optional>
#include <set>
#include <string>

#include "base/os/file_lock.h"
#include "base/result.h"
#include "folder_at.h"

namespace homelab::cache {

/// "blobs/<hh>/<hash>" when `blob_path` ("<repo folder>/blobs/<name>") is a link to a place in the
/// store, whether or not something stands there.
[[nodiscard]] std::optional<std::string> payload_of(FolderAt const& hub,
                                                    std::string const& blob_path);

/// Blob paths of the payload's manifest that are links to it now; nullopt when the manifest is
/// missing or cannot be read: the payload must stay then.
[[nodiscard]] std::optional<std::set<std::string>> references_of(FolderAt const& hub,
                                                                 std::string const& payload);

enum class Swept { kRemoved, kStillUsed, kUnknownUsers, kBusy, kGone };
/// Under the store lock of the payload (tried once): with no valid reference left, `remove` and the
/// manifest; else the manifest is written anew. `remove(folder, name)`.
[[nodiscard]] Result<Swept> sweep_payload(
    FolderAt const& hub, std::string const& payload,
    std::function<Status(FolderAt const&, std::string const&)> const& remove);

/// Appends `blob_path` to the manifest, durable, before its link appears: `place` runs under the
/// store lock (waited for), first with the payload's folder and name.
[[nodiscard]] Status with_reference(
    FolderAt const& hub, std::string const& payload, std::string const& blob_path,
    std::function<Status(FolderAt const&, std::string const&)> const& place);

}  // namespace homelab::cache
