#include "cache/revision_switch.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

#include "../verify/own_folder.h"
#include "base/time.h"
#include "folder_at.h"
#include "move_record.h"

namespace homelab::cache {
namespace {

constexpr std::size_t kMaxRecordBytes = std::size_t{1} << 20;

Path hub_of(RepoFolder const& folder) { return folder.path().parent_path(); }

std::vector<RevisionMove> read_moves(RepoFolder const& folder) {
  auto const text =
      read_regular_file(own_folder(hub_of(folder)) / "revisions" / folder.name(), kMaxRecordBytes);
  return text ? parse_moves(*text) : std::vector<RevisionMove>{};
}

Status write_moves(RepoFolder const& folder, std::vector<RevisionMove> const& moves) {
  ASSIGN_OR_RETURN(FolderAt const own, make_own_folder(hub_of(folder), {"revisions"}));
  auto const& name = folder.name();
  return replace_file({own, "." + name + ".tmp", own, name}, to_text(moves));
}

/// The newest switch that brought the ref to where it is.
auto find_move(std::vector<RevisionMove>& moves, Revision const& revision, CommitHash const& now) {
  auto const found = std::find_if(moves.rbegin(), moves.rend(), [&](RevisionMove const& move) {
    return move.revision == revision && move.to == now;
  });
  return found == moves.rend() ? moves.end() : std::prev(found.base());
}

}  // namespace

Status switch_revision(RepoWriter const& writer, Revision const& revision, CommitHash const& to) {
  auto const now = writer.folder().read_ref(revision);
  if (now && *now == to) return {};
  if (now) {
    // First the way back, then the move: a crash between the two leaves a note that fits no ref.
    auto moves = read_moves(writer.folder());
    auto const seconds =
        std::chrono::duration_cast<std::chrono::seconds>(utc_now().time_since_epoch());
    moves.push_back({revision, *now, to, seconds.count()});
    RETURN_IF_ERROR(write_moves(writer.folder(), moves));
  }
  return writer.write_ref(revision, to);
}

Result<std::optional<CommitHash>> commit_before(RepoFolder const& folder,
                                                Revision const& revision) {
  ASSIGN_OR_RETURN(auto const now, folder.read_ref(revision));
  auto moves = read_moves(folder);
  auto const move = find_move(moves, revision, now);
  if (move == moves.end()) return std::optional<CommitHash>();
  return std::optional(move->from);
}

Result<CommitHash> switch_back(RepoWriter const& writer, Revision const& revision) {
  ASSIGN_OR_RETURN(auto const now, writer.folder().read_ref(revision));
  auto moves = read_moves(writer.folder());
  auto const move = find_move(moves, revision, now);
  if (move == moves.end())
    return fail(Code::kFailedPrecondition,
                fmt::format("where {} of {} stood before {} is not known", revision.text(),
                            writer.folder().id().text(), now.text()));
  CommitHash before = move->from;
  RETURN_IF_ERROR(writer.write_ref(revision, before));
  // Where the process ends here, the note fits no ref any more and does no harm.
  moves.erase(move);
  RETURN_IF_ERROR(write_moves(writer.folder(), moves));
  return before;
}

}  // namespace homelab::cache
