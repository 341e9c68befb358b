#pragma once
// A hub folder that a test fills by hand, as any program or person may have left it.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <string_view>

#include "cache/scan.h"
#include "hub_fixture.h"
#include "support/temp_dir.h"

namespace homelab::cache {

class ScanFixture : public ::testing::Test {
 protected:
  static std::string hex(char digit, std::size_t length = 40) { return std::string(length, digit); }
  [[nodiscard]] Path hub() const { return dir_ / "hub"; }
  [[nodiscard]] Path repo() const { return hub() / "models--org--name"; }
  [[nodiscard]] Path snapshot(char commit = 'c') const {
    return repo() / "snapshots" / hex(commit);
  }

  void write(Path const& path, std::string_view content) const {
    dir_.write(path.lexically_relative(dir_.path()).string(), content);
  }
  static void symlink(std::string const& target, Path const& at) {
    std::filesystem::create_directories(at.parent_path());
    std::filesystem::create_symlink(target, at);
  }
  static void pipe(Path const& at) {
    std::filesystem::create_directories(at.parent_path());
    ASSERT_EQ(::mkfifo(at.c_str(), 0666), 0);
  }
  /// A file of revision `commit`: its blob and the link to it.
  void put(std::string const& path, std::string_view content, char commit = 'c') const {
    std::string const name = sha256_hex(content);
    write(repo() / "blobs" / name, content);
    auto const depth = 2 + std::ranges::count(path, '/');
    std::string up;
    for (auto i = 0; i < depth; ++i) up += "../";
    symlink(up + "blobs/" + name, snapshot(commit) / path);
  }

  [[nodiscard]] RepoScan scan() const {
    auto result = scan_repo(repo());
    if (!result) throw std::runtime_error(result.error().message);
    return std::move(*result);
  }
  static EntryFacts const* entry(RepoScan const& scan, std::string_view path) {
    for (auto const& revision : scan.revisions) {
      for (auto const& one : revision.entries)
        if (one.path == path) return &one;
    }
    return nullptr;
  }
  /// The sentence about `path`, or "".
  static std::string problem(std::vector<Problem> const& problems, Path const& path) {
    auto const at = std::ranges::find(problems, path, &Problem::path);
    return at == problems.end() ? std::string() : at->what;
  }

  test::TempDir dir_;
};

}  // namespace homelab::cache
