#include "expected_members.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/strings.h"
#include "members.h"

namespace homelab::cache {
namespace {

using Kind = ExpectedMember::Kind;

constexpr std::size_t kCommitDigits = 40;

tl::unexpected<Error> wrong(TarMember const& member, std::string_view what) {
  return fail(Code::kDataLoss, fmt::format("member {} {}", shown_member(member.name), what));
}

}  // namespace

std::string shown_member(std::string_view name) {
  constexpr std::size_t kShownBytes = 200;
  constexpr char kFirstPrintable = 0x20;
  constexpr char kDelete = 0x7f;
  std::string out;
  for (char const c : name.substr(0, kShownBytes))
    out.push_back((c >= 0 && c < kFirstPrintable) || c == kDelete ? '?' : c);
  if (!is_utf8(out)) std::ranges::replace_if(out, [](char c) { return c < 0; }, '?');
  if (name.size() > kShownBytes) out += "...";
  return out.empty() ? "without a name" : out;
}

ExpectedMembers::ExpectedMembers(ArchiveManifest const& manifest) : manifest_(manifest) {
  for (std::size_t r = 0; r < manifest.repos.size(); ++r) {
    ArchiveRepo const& repo = manifest.repos[r];
    auto const expect = [&](std::string name, Kind kind, std::size_t revision, std::size_t item) {
      entries_.emplace(std::move(name), Entry{{kind, r, revision, item}});
    };
    for (std::size_t i = 0; i < repo.blobs.size(); ++i)
      expect(blob_member(repo, repo.blobs[i].name), Kind::kBlob, 0, i);
    for (std::size_t v = 0; v < repo.revisions.size(); ++v) {
      ArchiveRevision const& revision = repo.revisions[v];
      for (std::size_t i = 0; i < revision.files.size(); ++i)
        expect(link_member(repo, revision.commit, revision.files[i].path), Kind::kLink, v, i);
      for (std::size_t i = 0; i < revision.absent.size(); ++i)
        expect(absent_member(repo, revision.commit, revision.absent[i]), Kind::kAbsent, v, i);
      if (revision.listing) expect(listing_member(repo, revision.commit), Kind::kListing, v, 0);
    }
    for (std::size_t i = 0; i < repo.refs.size(); ++i)
      expect(ref_member(repo, repo.refs[i].name), Kind::kRef, 0, i);
  }
}

Result<ExpectedMember> ExpectedMembers::take(TarMember const& member) {
  if (member.kind == TarMember::Kind::kFolder) {
    if (is_folder_of_some(member.name)) return ExpectedMember{};
    return wrong(member, "is a folder that the manifest does not announce");
  }
  auto const found = entries_.find(member.name);
  if (found == entries_.end()) return wrong(member, "is not announced by the manifest");
  if (member.kind == TarMember::Kind::kOther) return wrong(member, "is " + member.what);
  if (found->second.came) return wrong(member, "comes twice");
  RETURN_IF_ERROR(check(found->second.what, member));
  found->second.came = true;
  return found->second.what;
}

Status ExpectedMembers::check(ExpectedMember const& what, TarMember const& member) const {
  ArchiveRepo const& repo = manifest_.repos[what.repo];
  bool const is_link = member.kind == TarMember::Kind::kLink;
  if (is_link != (what.kind == Kind::kLink))
    return wrong(member, is_link ? "is a link instead of a file" : "is a file instead of a link");
  std::uint64_t size = 0;
  switch (what.kind) {
    case Kind::kLink: {
      auto const& file = repo.revisions[what.revision].files[what.item];
      if (member.link_text == link_text_of(file.path, file.blob)) return {};
      return wrong(member, fmt::format("leads to {} instead of blob {}",
                                       shown_member(member.link_text), file.blob.text()));
    }
    case Kind::kBlob:
      size = repo.blobs[what.item].size_bytes;
      break;
    case Kind::kListing:
      size = repo.revisions[what.revision].listing->size_bytes;
      break;
    case Kind::kRef:
      size = kCommitDigits;
      break;
    case Kind::kAbsent:
    case Kind::kFolder:
      break;
  }
  if (member.size_bytes == size) return {};
  return wrong(member,
               fmt::format("has {} bytes; the manifest announces {}", member.size_bytes, size));
}

bool ExpectedMembers::is_folder_of_some(std::string name) const {
  if (!name.ends_with('/')) name += '/';
  auto const first = entries_.lower_bound(name);
  return first != entries_.end() && first->first.starts_with(name);
}

Status ExpectedMembers::all_came() const {
  for (auto const& [name, entry] : entries_)
    if (!entry.came)
      return fail(Code::kDataLoss,
                  fmt::format("the archive ends too early: {} is missing", shown_member(name)));
  return {};
}

}  // namespace homelab::cache
