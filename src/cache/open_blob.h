#pragma once
// Opening content of a repository folder for reading, without ever leaving the hub folder.
#include <string_view>

#include "cache/hub_folder.h"
#include "folder_at.h"

namespace homelab::cache {

/// blobs/<name>: a regular file, or a link to a payload of the shared store (hf-cache rules, §6).
/// kNotFound: nothing there or dangling; kFailedPrecondition: something else, or it leads out.
/// `blobs` must have been opened below `hub_folder`.
[[nodiscard]] Result<OpenEntry> open_blob(FolderAt const& blobs, BlobName const& name,
                                          Path const& hub_folder);

/// A regular file below `start`, '/'-separated, no link on the way; errors as above.
[[nodiscard]] Result<OpenEntry> open_below(FolderAt const& start, std::string_view path);

}  // namespace homelab::cache
