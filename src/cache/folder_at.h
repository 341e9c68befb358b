#pragma once
// Folders and small files below one repository folder, opened step by step without following links,
// so that a planted link cannot lead a write elsewhere (hf-cache rules, §10.4). Every write here is
// one numbered durable step.
#include <span>
#include <string>
#include <string_view>

#include "base/os/file.h"
#include "base/result.h"

namespace homelab::cache {

/// An open folder and its name for messages.
struct FolderAt {
  os::UniqueFd fd;
  std::string shown;

  [[nodiscard]] std::string in(std::string_view name) const {
    return shown + "/" + std::string(name);
  }
};

/// Opens a folder by path; the path itself may go through links (a cache on another drive).
[[nodiscard]] Result<FolderAt> open_folder(os::Path const& path);

/// Opens the sub-folder `name`; kFailedPrecondition when something else, or a link, stands there.
[[nodiscard]] Result<FolderAt> open_sub(FolderAt const& parent, std::string const& name);

/// Likewise, making it when missing (mode 0777 & ~umask). A new name is synced here, or, where the
/// caller takes `made`, later by the caller: what is below it would be lost with it in a power cut.
[[nodiscard]] Result<FolderAt> make_sub(FolderAt const& parent, std::string const& name,
                                        bool* made = nullptr);

/// Opens, locks (flock) and gives an own file `name` that nobody else writes: a regular file with
/// this one name. kAborted when another process of this program holds it and `wait` is false.
/// Content is whatever was there.
[[nodiscard]] Result<os::UniqueFd> open_own_file(FolderAt const& folder, std::string const& name,
                                                 bool wait);

/// `name` in `target` gets exactly `content`, completely or not at all; durable when this returns.
/// The temporary is `temporary` in `scratch` (same file system), reused after a crash.
struct SmallFile {
  FolderAt const& scratch;
  std::string temporary;
  FolderAt const& target;
  std::string name;
};
[[nodiscard]] Status replace_file(SmallFile const& where, std::string_view content);

/// renameat(2) and fsync(2) of a folder as durable steps.
[[nodiscard]] Status rename_at(FolderAt const& from, std::string const& old_name,
                               FolderAt const& to, std::string const& new_name);
[[nodiscard]] Status sync(FolderAt const& folder);

/// Whole regular file, at most `limit_bytes`; never blocks on pipes. Follows links (readers accept
/// hand-made caches).
[[nodiscard]] Result<std::string> read_regular_file(os::Path const& path, std::size_t limit_bytes);

}  // namespace homelab::cache
