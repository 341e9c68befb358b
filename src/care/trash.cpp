#include "care/trash.h"

#include <fmt/format.h>

#include "base/time.h"
#include "care/printable.h"

namespace homelab::care {
namespace {

std::string time_text(std::int64_t created_ns) {
  return to_iso_utc(UtcTime(std::chrono::microseconds(created_ns / 1000)));
}

json::object to_json(TrashPlace const& found) {
  return {{"id", found.record.id},
          {"hub_folder", json_text(found.hub.string())},
          {"created", time_text(found.record.created_ns)},
          {"reason", printable(found.record.reason)},
          {"items", found.record.items},
          {"disk_bytes", found.record.disk_bytes},
          {"restorable", found.record.restorable},
          {"in_use", found.record.in_use}};
}

tl::unexpected<Error> no_record(std::string const& id) {
  return fail(Code::kNotFound,
              id.empty() ? std::string("nothing is in the trash that could come back")
                         : fmt::format("the trash has no '{}'; see: homelab-llm cache trash ls",
                                       printable(id)));
}

Result<std::vector<TrashPlace>> all_records(Work const& work) {
  std::vector<TrashPlace> out;
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(work.locations, {}));
  for (auto const& hub : hubs) {
    ASSIGN_OR_RETURN(auto const records, cache::list_trash(hub));
    for (auto const& record : records) out.push_back({hub, record});
  }
  return out;
}

}  // namespace

Result<std::vector<TrashPlace>> trash_records(Work const& work, std::string const& id) {
  ASSIGN_OR_RETURN(auto records, all_records(work));
  if (id.empty()) return records;
  std::erase_if(records, [&](TrashPlace const& found) { return found.record.id != id; });
  if (records.empty()) return no_record(id);
  return records;
}

json::array to_json(std::vector<TrashPlace> const& records) {
  json::array out;
  for (auto const& record : records) out.push_back(to_json(record));
  return out;
}

TrashEmptied empty(Work const& work, std::vector<TrashPlace> const& records) {
  TrashEmptied out;
  Progress progress;
  progress.what = "Emptying the trash";
  progress.total_files = records.size();
  for (auto const& found : records) {
    out.cancelled = work.stopped();
    if (out.cancelled) break;
    work.on_progress(progress);
    auto const emptied = cache::empty_trash(found.hub, found.record.id);
    ++progress.done_files;
    if (emptied) {
      out.freed_bytes += emptied->freed_bytes;
      out.ids.push_back(found.record.id);
    } else {
      out.skipped.push_back({found.record.id, emptied.error().message});
    }
  }
  return out;
}

json::object to_json(TrashEmptied const& emptied) {
  json::array ids;
  for (auto const& id : emptied.ids) ids.emplace_back(id);
  json::array skipped;
  for (auto const& one : emptied.skipped)
    skipped.push_back(json::object{{"id", one.id}, {"why", json_text(one.why)}});
  return {{"ids", std::move(ids)},
          {"freed_bytes", emptied.freed_bytes},
          {"skipped", std::move(skipped)}};
}

Result<Undone> undo(Work const& work, UndoChoice const& choice) {
  ASSIGN_OR_RETURN(auto const records, all_records(work));
  TrashPlace const* chosen = nullptr;
  for (auto const& found : records) {
    bool const meant = choice.id.empty() ? found.record.restorable : found.record.id == choice.id;
    if (meant && (chosen == nullptr || found.record.created_ns >= chosen->record.created_ns))
      chosen = &found;
  }
  if (chosen == nullptr) return no_record(choice.id);
  ASSIGN_OR_RETURN(auto restored, cache::restore_trash(chosen->hub, chosen->record.id));
  return Undone{chosen->hub, chosen->record.reason, std::move(restored)};
}

json::object to_json(Undone const& undone) {
  json::array paths;
  for (auto const& path : undone.restored.paths) paths.emplace_back(printable(path));
  return {{"id", undone.restored.id},
          {"hub_folder", json_text(undone.hub.string())},
          {"restored", std::move(paths)}};
}

Result<Answer> run(Work const& work, UndoChoice const& choice) {
  ASSIGN_OR_RETURN(auto const undone, undo(work, choice));
  return Answer{to_json(undone)};
}

Result<Answer> run(Work const& work, TrashEmptyChoice const& choice) {
  ASSIGN_OR_RETURN(auto const records, trash_records(work, choice.id));
  auto const emptied = empty(work, records);
  return Answer{to_json(emptied), emptied.complete()};
}

}  // namespace homelab::care
