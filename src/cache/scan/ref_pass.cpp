#include "ref_pass.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

#include "base/strings.h"
#include "leftovers.h"

namespace homelab::cache::scan {
namespace {

constexpr std::size_t kMaxRefBytes = 4096;

/// Text of a small regular file; an error leaves errno.
bool read_small(int folder, char const* name, std::string& text) {
  os::UniqueFd const file(::openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file) return false;
  std::array<char, kMaxRefBytes> buffer;
  ssize_t got = 0;
  do {
    got = ::read(file.get(), buffer.data(), buffer.size());
  } while (got < 0 && errno == EINTR);
  if (got < 0) return false;
  text.assign(buffer.data(), static_cast<std::size_t>(got));
  return true;
}

}  // namespace

void RefPass::read(OpenFolder const& repo) {
  bool const complete = std::exchange(findings_.scan.complete, true);
  OpenFolder const refs = findings_.enter(repo, "refs", 1);
  if (refs.fd) read_folder(refs, "", 2);
  if (!findings_.scan.complete) findings_.scan.refs_clear = false;
  findings_.scan.complete = findings_.scan.complete && complete;
  for (auto& revision : findings_.scan.revisions) std::ranges::sort(revision.refs);
}

void RefPass::read_folder(OpenFolder const& folder, std::string const& prefix, int depth) {
  for (std::size_t i = 0; i < folder.names.size(); ++i) {
    auto const node = folder.names[i];
    if (known_kind(folder, node) != NodeKind::kFolder) {
      read_file(folder, node.name, prefix + node.name);
      continue;
    }
    OpenFolder const below = findings_.enter(folder, node.name, depth);
    if (below.fd) read_folder(below, prefix + node.name + "/", depth + 1);
  }
}

void RefPass::read_file(OpenFolder const& folder, char const* name, std::string const& ref) {
  struct stat found{};
  if (!look_at(folder.fd.get(), name, found)) return;
  Path const path = folder.shown / name;
  if (is_temporary_ref(name)) {
    findings_.scan.leftovers.push_back(
        {Leftover::Kind::kTemporary, path, disk_bytes(found), to_ns(found.st_mtim), false});
    return;
  }
  findings_.count_other(folder, name, found);
  if (!S_ISREG(found.st_mode)) {
    findings_.scan.refs_clear = false;
    return findings_.problem(path, "is no regular file; a ref must be one");
  }
  if (size_bytes(found) > kMaxRefBytes)
    return findings_.problem(path, "is far too large for a ref (40 hexadecimal digits)");
  if (!Revision::parse(ref)) return findings_.problem(path, "the name is not valid for a revision");
  std::string text;
  if (!read_small(folder.fd.get(), name, text)) {
    if (errno != ENOENT) findings_.unreadable(path, errno);
    return;
  }
  auto const commit = CommitHash::parse(trim(text));
  if (!commit) {
    findings_.scan.refs_clear = false;
    return findings_.problem(path, text.empty() ? "is empty; a ref holds a commit"
                                                : "does not hold a commit (40 hexadecimal digits)");
  }
  if (text.size() != commit->text().size()) {
    findings_.problem(path,
                      "holds white space beside the commit; the Python client then does not "
                      "find the revision without a network");
  }
  assign(ref, *commit);
}

void RefPass::assign(std::string const& ref, CommitHash const& commit) {
  auto& revisions = findings_.scan.revisions;
  auto const at = std::ranges::lower_bound(revisions, commit, {}, &RevisionFacts::commit);
  if (at != revisions.end() && at->commit == commit) {
    at->refs.push_back(ref);
  } else {
    findings_.scan.dangling_refs.emplace(ref, commit.text());
  }
}

}  // namespace homelab::cache::scan
