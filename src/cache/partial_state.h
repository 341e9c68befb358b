#pragma once
// What an open partial blob is made of; shared by partial_blob.cpp and repo_writer.cpp.
#include <cstdint>
#include <string>

#include "base/hash.h"
#include "base/os/file.h"
#include "cache/blob_writer.h"
#include "folder_at.h"

namespace homelab::cache {

struct PartialBlob::State {
  FolderAt blobs;
  os::UniqueFd file;  ///< exclusively flocked
  std::string part_name;
  BlobName blob_name;
  std::uint64_t expected = 0;
  std::uint64_t written = 0;  ///< on disk and hashed
  std::uint64_t pushed = 0;   ///< handed to the disk's queue
  Hasher hasher;
};

/// "<name>.homelab.part": other programs' scanners and clean-up do not know this ending.
[[nodiscard]] std::string part_name_of(BlobName const& name);

/// The hash that content of `size_bytes` must have to be called `name`.
[[nodiscard]] Hasher hasher_for(BlobName const& name, std::uint64_t size_bytes);

/// Reserves the space of the whole file without changing its length. `left_bytes`: how much is
/// still to come.
[[nodiscard]] Status reserve(int file, std::string const& shown, std::uint64_t size_bytes,
                             std::uint64_t left_bytes);

/// Reads what an earlier process left and hashes it; sets written.
[[nodiscard]] Status hash_existing(int file, std::uint64_t length_bytes, Hasher& hasher);

}  // namespace homelab::cache
