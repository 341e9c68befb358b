#include <fmt/format.h>

#include <array>
#include <utility>

#include "cache/removal.h"

namespace homelab::cache {
namespace {

constexpr std::array<RepoType, 4> kTypes{RepoType::kModel, RepoType::kDataset, RepoType::kSpace,
                                         RepoType::kKernel};

/// Takes "dataset/" off the front, if it is there.
RepoType take_type(std::string_view& text) {
  for (RepoType const type : kTypes) {
    std::string const prefix = std::string(to_string(type)) + "/";
    if (!text.starts_with(prefix)) continue;
    text.remove_prefix(prefix.size());
    return type;
  }
  return RepoType::kModel;
}

std::optional<std::string> take_after(std::string_view& text, char mark) {
  auto const at = text.find(mark);
  if (at == std::string_view::npos) return std::nullopt;
  std::string rest(text.substr(at + 1));
  text = text.substr(0, at);
  return rest;
}

}  // namespace

Result<RemovalTarget> RemovalTarget::parse(std::string_view text) {
  std::string_view rest = text;
  RemovalTarget target;
  target.type = take_type(rest);
  target.file = take_after(rest, ':');
  target.revision = take_after(rest, '@');
  auto const id = RepoId::parse(rest);
  if (!id) {
    return fail(Code::kInvalidArgument,
                fmt::format("'{}' is no ORG/NAME[@REVISION][:FILE]: {}", text, id.error().message));
  }
  target.id = id->text();
  if (target.revision) RETURN_IF_ERROR(Revision::parse(*target.revision));
  if (target.file) RETURN_IF_ERROR(RepoPath::parse(*target.file));
  return target;
}

std::string RemovalTarget::folder_name() const {
  std::string name = std::string(to_string(type)) + "s--";
  for (char const letter : id) {
    if (letter == '/')
      name += "--";
    else
      name += letter;
  }
  return name;
}

}  // namespace homelab::cache
