#pragma once
// A hub folder in a temporary place, with content whose names are its true hashes.
#include <gtest/gtest.h>

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

#include "base/hash.h"
#include "cache/blob_writer.h"
#include "cache/hub_folder.h"
#include "cache/names.h"
#include "support/temp_dir.h"

namespace homelab::cache {

inline BlobName sha_name(std::string_view content) {
  return BlobName::parse(sha256_hex(content)).value();
}

inline BlobName git_name(std::string_view content) {
  Hasher hasher = Hasher::git_blob(content.size());
  hasher.update(content);
  return BlobName::parse(hasher.finish()).value();
}

inline std::span<std::byte const> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

/// Message of a Result or Status, for failure output.
template <class T>
std::string why(T const& result) {
  return result ? std::string("no error") : result.error().message;
}

class HubFixture : public ::testing::Test {
 protected:
  HubFixture() {
    auto opened = RepoWriter::open(hub(), repo_id());
    if (!opened) throw std::runtime_error(opened.error().message);
    writer_.emplace(std::move(*opened));
  }

  static RepoId repo_id() { return RepoId::parse("org/name").value(); }
  static CommitHash commit() { return CommitHash::parse(std::string(40, 'c')).value(); }
  static RepoPath path(std::string_view text) { return RepoPath::parse(text).value(); }
  [[nodiscard]] Path hub() const { return dir_ / "root/hub"; }
  [[nodiscard]] Path repo() const { return hub() / "models--org--name"; }
  [[nodiscard]] Path entry(std::string_view name) const {
    return repo() / "snapshots" / commit().text() / name;
  }
  RepoWriter& writer() { return *writer_; }

  /// Puts a blob and gives its name.
  BlobName put(std::string_view content) {
    BlobName const name = git_name(content);
    auto const done = writer().put_blob(name, bytes_of(content));
    if (!done) throw std::runtime_error(done.error().message);
    return name;
  }
  Status link(std::string_view name, BlobName const& blob) {
    RepoWriter::Link const one{path(name), blob};
    return writer().link_all(commit(), std::span(&one, 1));
  }

  test::TempDir dir_;
  std::optional<RepoWriter> writer_;
};

}  // namespace homelab::cache
