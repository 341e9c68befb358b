#pragma once
// One folder of the trash while somebody works with it. Private to the cache module.
#include <memory>
#include <optional>
#include <string>

#include "base/result.h"
#include "cache/trash.h"
#include "folder_at.h"

namespace homelab::cache {

inline constexpr char const* kManifestName = "manifest.json";

/// Exclusively locked (flock on the folder) as long as it lives.
class OpenRecord {
 public:
  /// Makes a record; `manifest` is durable in it when this returns. nullptr: a record whose content
  /// cannot come back (immediate deletion).
  [[nodiscard]] static Result<OpenRecord> create(Path const& hub_folder,
                                                 TrashManifest const* manifest);
  /// kNotFound; kAborted when somebody else works with it.
  [[nodiscard]] static Result<OpenRecord> open(Path const& hub_folder, std::string const& id);

  [[nodiscard]] std::string const& id() const { return id_; }
  [[nodiscard]] FolderAt const& folder() const { return folder_; }

  /// Moves `name` in as number `index`. False: there was nothing.
  [[nodiscard]] Result<bool> take(FolderAt const& from, std::string const& name,
                                  std::size_t index) const;
  /// Moves it back; kAlreadyExists when something stands there. The caller syncs `to`.
  [[nodiscard]] Status give_back(std::size_t index, FolderAt const& to,
                                 std::string const& name) const;
  [[nodiscard]] bool holds(std::size_t index) const;
  [[nodiscard]] Result<TrashManifest> manifest() const;
  /// Deletes the record and all that is in it.
  [[nodiscard]] Status destroy() &&;

 private:
  OpenRecord(FolderAt trash, FolderAt folder, std::string id)
      : trash_(std::move(trash)), folder_(std::move(folder)), id_(std::move(id)) {}
  static Result<OpenRecord> lock(FolderAt trash, std::string const& id);

  FolderAt trash_;
  FolderAt folder_;
  std::string id_;
};

/// <hub>/.locks/.homelab-llm/trash; kNotFound when there is none.
[[nodiscard]] Result<FolderAt> open_trash(Path const& hub_folder);

}  // namespace homelab::cache
