#pragma once
// Single entries of an open folder, without ever following a link.
#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "folder_at.h"

namespace homelab::cache {

/// lstat of an entry; nullopt when nothing is there.
[[nodiscard]] std::optional<struct stat> look_at(FolderAt const& folder, std::string const& name);
/// stat of what an entry leads to; nullopt when nothing is there or it dangles.
[[nodiscard]] std::optional<struct stat> look_behind(FolderAt const& folder,
                                                     std::string const& name);
/// True when something, a dangling link too, stands there.
[[nodiscard]] bool stands_at(FolderAt const& folder, std::string const& name);
[[nodiscard]] bool is_same_file(struct stat const& one, struct stat const& other);

/// Text of a link; nullopt when `name` is none.
[[nodiscard]] std::optional<std::string> link_text(FolderAt const& folder, std::string const& name);

/// Names in a folder, sorted, without "." and ".."; kResourceExhausted above a million.
[[nodiscard]] Result<std::vector<std::string>> names_in(FolderAt const& folder);

/// `name` in `from` and `other` in `to` change places in one step; kUnimplemented where the file
/// system cannot (RENAME_EXCHANGE).
[[nodiscard]] Status exchange(FolderAt const& from, std::string const& name, FolderAt const& to,
                              std::string const& other);

[[nodiscard]] Status make_link(FolderAt const& folder, std::string const& name,
                               std::string const& text);
[[nodiscard]] Status remove_entry(FolderAt const& folder, std::string const& name);

}  // namespace homelab::cache
