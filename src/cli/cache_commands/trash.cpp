// cache undo, cache trash: what was removed, back again or gone for good.
#include "cache/trash.h"

#include <fmt/format.h>

#include "../exit_code.h"
#include "../table.h"
#include "base/strings.h"
#include "base/time.h"
#include "commands.h"
#include "hub_choice.h"
#include "removal_talk.h"

namespace homelab::cli {
namespace {

struct Found {
  cache::Path hub;
  cache::TrashRecord record;
};

Result<std::vector<Found>> all_records(Context const& context) {
  std::vector<Found> out;
  ASSIGN_OR_RETURN(auto const hubs, chosen_hub_folders(context, "", ""));
  for (auto const& hub : hubs) {
    ASSIGN_OR_RETURN(auto const records, cache::list_trash(hub));
    for (auto const& record : records) out.push_back({hub, record});
  }
  return out;
}

std::string time_text(std::int64_t created_ns) {
  return to_iso_utc(UtcTime(std::chrono::microseconds(created_ns / 1000)));
}

json::object to_json(Found const& found) {
  return {{"id", found.record.id},
          {"hub_folder", found.hub.string()},
          {"created", time_text(found.record.created_ns)},
          {"reason", printable(found.record.reason)},
          {"items", found.record.items},
          {"disk_bytes", found.record.disk_bytes},
          {"restorable", found.record.restorable},
          {"in_use", found.record.in_use}};
}

int list(Context const& context, std::vector<Found> const& records) {
  Table table({{"ID"}, {"SIZE", Align::kRight}, {"ITEMS", Align::kRight}, {"REMOVED BY"}, {"HUB"}});
  json::array out;
  std::uint64_t bytes = 0;
  for (auto const& found : records) {
    table.add(
        {found.record.id, human_bytes(found.record.disk_bytes), std::to_string(found.record.items),
         found.record.restorable ? found.record.reason : "(cannot come back)", found.hub.string()});
    out.push_back(to_json(found));
    bytes += found.record.disk_bytes;
  }
  context.out.text(records.empty() ? "the trash is empty\n"
                                   : fmt::format("{}{} ({} bytes) in all\n", table.render(),
                                                 human_bytes(bytes), bytes));
  context.out.value(out);
  return kExitDone;
}

Result<int> empty(Context const& context, std::vector<Found> const& records, bool yes) {
  std::uint64_t bytes = 0;
  for (auto const& found : records) bytes += found.record.disk_bytes;
  if (!yes && !records.empty()) {
    ASSIGN_OR_RETURN(bool const agreed, agrees(fmt::format("Delete {} ({} bytes) for good?",
                                                           human_bytes(bytes), bytes)));
    if (!agreed) return fail(Code::kCancelled, "nothing was deleted");
  }
  std::uint64_t freed = 0;
  json::array ids;
  json::array skipped;
  for (auto const& found : records) {
    auto const emptied = cache::empty_trash(found.hub, found.record.id);
    if (emptied) {
      freed += emptied->freed_bytes;
      ids.emplace_back(found.record.id);
    } else {
      context.out.remark(printable(emptied.error().message));
      skipped.push_back(json::object{{"id", found.record.id}, {"why", emptied.error().message}});
    }
  }
  bool const complete = skipped.empty();
  context.out.text(fmt::format("deleted {} of {} records, {} ({} bytes) are free now\n", ids.size(),
                               records.size(), human_bytes(freed), freed));
  context.out.value(json::object{
      {"ids", std::move(ids)}, {"freed_bytes", freed}, {"skipped", std::move(skipped)}});
  return complete ? kExitDone : kExitFailed;
}

tl::unexpected<Error> no_record(std::string const& id) {
  return fail(Code::kNotFound,
              id.empty() ? std::string("nothing is in the trash that could come back")
                         : fmt::format("the trash has no '{}'; see: homelab-llm cache trash ls",
                                       printable(id)));
}

}  // namespace

Result<int> execute(Context const& context, CacheUndoCommand const& command) {
  ASSIGN_OR_RETURN(auto const records, all_records(context));
  Found const* chosen = nullptr;
  for (auto const& found : records) {
    bool const meant = command.id.empty() ? found.record.restorable : found.record.id == command.id;
    if (meant && (chosen == nullptr || found.record.created_ns >= chosen->record.created_ns))
      chosen = &found;
  }
  if (chosen == nullptr) return no_record(command.id);
  ASSIGN_OR_RETURN(auto const restored, cache::restore_trash(chosen->hub, chosen->record.id));
  std::string text = fmt::format("put back {} things that '{}' had removed\n",
                                 restored.paths.size(), printable(chosen->record.reason));
  json::array paths;
  for (auto const& path : restored.paths) {
    text += fmt::format("  {}\n", printable(path));
    paths.emplace_back(printable(path));
  }
  context.out.text(text);
  context.out.value(json::object{
      {"id", restored.id}, {"hub_folder", chosen->hub.string()}, {"restored", std::move(paths)}});
  return kExitDone;
}

Result<int> execute(Context const& context, CacheTrashCommand const& command) {
  ASSIGN_OR_RETURN(auto records, all_records(context));
  if (!command.id.empty()) {
    std::erase_if(records, [&](Found const& found) { return found.record.id != command.id; });
    if (records.empty()) return no_record(command.id);
  }
  if (command.action == "ls") return list(context, records);
  return empty(context, records, command.yes);
}

}  // namespace homelab::cli
