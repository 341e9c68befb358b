#pragma once
// Names that come from outside, as types that cannot hold a bad value (hf-cache rules, §2.1–2.4,
// §10.4). Every parse function errors with kInvalidArgument, naming the input and the rule it
// broke.
#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"

namespace homelab::cache {

/// "org/name" or "name" of a model repository: [A-Za-z0-9._-], at most one '/', <= 96 characters,
/// no "--", "..", no leading/trailing '-' or '.' per part, no ".git" end.
class RepoId {
 public:
  [[nodiscard]] static Result<RepoId> parse(std::string_view text);
  /// From a folder name "models--org--name"; error if it is not a model folder of a valid id.
  [[nodiscard]] static Result<RepoId> from_folder_name(std::string_view folder);
  [[nodiscard]] std::string const& text() const { return text_; }
  /// "models--org--name".
  [[nodiscard]] std::string folder_name() const;
  auto operator<=>(RepoId const&) const = default;

 private:
  explicit RepoId(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// 40 lower-case hex digits.
class CommitHash {
 public:
  [[nodiscard]] static Result<CommitHash> parse(std::string_view text);
  [[nodiscard]] std::string const& text() const { return text_; }
  auto operator<=>(CommitHash const&) const = default;

 private:
  explicit CommitHash(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// A branch, tag, "refs/pr/1" or (abbreviated) commit: '/'-separated, no empty, "." or ".."
/// segment, no control characters or backslash, no segment ending in ".lock" or ".tmp", <= 255
/// bytes.
class Revision {
 public:
  [[nodiscard]] static Result<Revision> parse(std::string_view text);
  [[nodiscard]] static Revision main();
  [[nodiscard]] std::string const& text() const { return text_; }
  /// True for 40 hex digits: then it is its own commit and has no ref file.
  [[nodiscard]] bool is_commit() const;
  auto operator<=>(Revision const&) const = default;

 private:
  explicit Revision(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// Name of a file in blobs/: 64 hex (sha256 of an LFS file) or 40 hex (git blob id). From an etag:
/// W/ and quotes removed.
class BlobName {
 public:
  [[nodiscard]] static Result<BlobName> parse(std::string_view text);
  [[nodiscard]] static Result<BlobName> from_etag(std::string_view etag);
  [[nodiscard]] std::string const& text() const { return text_; }
  [[nodiscard]] bool is_sha256() const { return text_.size() == 64; }
  auto operator<=>(BlobName const&) const = default;

 private:
  explicit BlobName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// Path of a file inside a repository: relative, '/'-separated UTF-8, no empty, "." or ".." segment
/// (also with '\'), no control characters, no drive form, each segment <= 255 bytes, whole <= 1024.
class RepoPath {
 public:
  [[nodiscard]] static Result<RepoPath> parse(std::string_view text);
  [[nodiscard]] std::string const& text() const { return text_; }
  [[nodiscard]] std::string_view extension()
      const;  ///< "gguf" of "a/b.gguf", lower case as written
  [[nodiscard]] std::string_view file_name() const;
  auto operator<=>(RepoPath const&) const = default;

 private:
  explicit RepoPath(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

/// What a user names: "org/name", "org/name@revision", "org/name:Q4_K_M", "org/name:file.gguf",
/// "hf.co/org/name".
struct ModelReference {
  RepoId repo;
  Revision revision;    ///< main when not given
  std::string variant;  ///< quantisation or file after ':', else empty
  [[nodiscard]] static Result<ModelReference> parse(std::string_view text);
};

}  // namespace homelab::cache
