// Names and listings from outside: a value that parses is canonical and cannot lead out of its
// folder.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "cache/hub_folder.h"
#include "cache/names.h"

namespace {

using namespace homelab::cache;

void require(bool holds) {
  if (!holds) std::abort();
}

bool has_bad_segment(std::string_view text) {
  std::string const framed = "/" + std::string(text) + "/";
  return framed.find("/../") != std::string::npos || framed.find("/./") != std::string::npos ||
         framed.find("//") != std::string::npos || framed.find('\0') != std::string::npos;
}

void check_names(std::string_view text) {
  if (auto const path = RepoPath::parse(text)) {
    require(path->text() == text && !has_bad_segment(text));
    require(text.ends_with(path->file_name()) && path->file_name().ends_with(path->extension()));
  }
  if (auto const revision = Revision::parse(text))
    require(revision->text() == text && !has_bad_segment(text));
  if (auto const repo = RepoId::parse(text)) {
    auto const back = RepoId::from_folder_name(repo->folder_name());
    require(back && *back == *repo && !has_bad_segment(text));
  }
  if (auto const repo = RepoId::from_folder_name(text)) require(repo->folder_name() == text);
  if (auto const blob = BlobName::from_etag(text))
    require(BlobName::parse(blob->text()).has_value());
  if (auto const commit = CommitHash::parse(text)) require(Revision::parse(text)->is_commit());
  if (auto const model = ModelReference::parse(text))
    require(RepoId::parse(model->repo.text()).has_value());
}

void check_tree(std::string_view text) {
  auto const tree = parse_tree_json(text);
  if (!tree || !*tree) return;
  auto const again = parse_tree_json(to_tree_json(**tree));
  require(again && *again && (*again)->files == (*tree)->files);
  for (auto const& file : (*tree)->files)
    require(file.blob_name().has_value() && !has_bad_segment(file.path.text()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
  std::string_view const text(reinterpret_cast<char const*>(data), size);
  check_names(text);
  check_tree(text);
  return 0;
}
