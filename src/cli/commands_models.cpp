// register, ls, show, rm: the registry, through a running server or a private one.
#include <fmt/format.h>

#include <iostream>

#include "cache/names.h"
#include "commands.h"
#include "exit_code.h"
#include "locations.h"
#include "model_text.h"
#include "server_link.h"
#include "table.h"

namespace homelab::cli {
namespace {

Status check_command(RegisterCommand const& command) {
  if (command.location == "custom" && !command.path)
    return fail(Code::kInvalidArgument, "--location custom needs --path FOLDER");
  if (command.location != "custom" && command.path)
    return fail(Code::kInvalidArgument, "--path belongs to --location custom");
  // Another server may call its models what it likes.
  if (is_local_path(command.repo) || !command.engine_url.empty()) return {};
  RETURN_IF_ERROR(cache::ModelReference::parse(command.repo));
  return {};
}

json::object registration_body(RegisterCommand const& command) {
  json::object body{
      {"model_name", command.name},
      {"hf_path", is_local_path(command.repo) ? absolute_path(command.repo) : command.repo},
      {"trust_remote_code", command.trust_remote_code},
      {"cache_location", command.location}};
  if (command.path) body["cache_path"] = absolute_path(*command.path);
  if (command.size_mb) body["estimated_size_mb"] = *command.size_mb;
  if (!command.engine_name.empty() || !command.engine_url.empty()) {
    json::object engine;
    if (!command.engine_name.empty()) engine["name"] = command.engine_name;
    if (!command.engine_url.empty()) engine["url"] = command.engine_url;
    if (!command.engine_model.empty()) engine["model"] = command.engine_model;
    body["engine"] = std::move(engine);
  }
  return body;
}

std::string removal_text(json::object const& answer) {
  std::string text = get_string(answer, "message").value_or("removed");
  for (auto const* key : {"warning", "error"})
    if (auto const words = get_string(answer, key)) text += "\n" + *words;
  if (auto const path = get_string(answer, "deleted_path"))
    text += fmt::format("\ndeleted {}, freed {:.1f} MB", *path,
                        get_double(answer, "freed_space_mb").value_or(0));
  return printable(text, true) + "\n";
}

/// True when the user agrees; without a keyboard there is nobody to ask.
Result<bool> confirm(ModelRow const& row) {
  if (!stdin_is_terminal())
    return fail(Code::kInvalidArgument, "deleting files needs --yes when there is nobody to ask");
  std::cerr << fmt::format("Delete the downloaded files of {} ({})? [y/N] ", printable(row.name),
                           printable(row.hf_path))
            << std::flush;
  std::string answer;
  std::getline(std::cin, answer);
  return answer == "y" || answer == "Y" || answer == "yes";
}

}  // namespace

Outcome execute(Context const& context, RegisterCommand const& command) {
  RETURN_IF_ERROR(check_command(command));
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  ASSIGN_OR_RETURN(auto const answer, link.api().post("/api/models", registration_body(command)));
  context.out.value(answer);
  ASSIGN_OR_RETURN(auto const rows, rows_of(json::array{answer}));
  auto const& row = rows.front();
  context.out.text(fmt::format("registered {} as '{}' in the {} cache ({})\n",
                               printable(row.hf_path), printable(row.name), row.location,
                               printable(row.cache_path.value_or("no path"))));
  if (link.is_private())
    context.out.remark("no server is running: written to the registry directly");
  return kExitDone;
}

Outcome execute(Context const& context, LsCommand const&) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  ASSIGN_OR_RETURN(auto const answer, link.api().get("/api/models"));
  ASSIGN_OR_RETURN(auto const rows, rows_of(answer));
  context.out.value(answer);
  context.out.text(rows.empty() ? "no model is registered; try: homelab-llm register ORG/NAME\n"
                                : model_table(rows));
  return kExitDone;
}

Outcome execute(Context const& context, ShowCommand const& command) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  ASSIGN_OR_RETURN(auto const rows, list_models(link.api()));
  ASSIGN_OR_RETURN(auto const row, row_named(rows, command.name));
  context.out.value(row.raw);
  context.out.text(model_details(row));
  return kExitDone;
}

Outcome execute(Context const& context, RmCommand const& command) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect_or_start(context));
  ASSIGN_OR_RETURN(auto const rows, list_models(link.api()));
  ASSIGN_OR_RETURN(auto const row, row_named(rows, command.name));
  if (command.files && !command.yes) {
    ASSIGN_OR_RETURN(bool const agreed, confirm(row));
    if (!agreed) return fail(Code::kCancelled, "nothing was removed");
  }
  std::string target = model_target(row.name);
  if (command.files) target += "?delete_files=true";
  ASSIGN_OR_RETURN(auto const answer, link.api().remove(target));
  context.out.value(answer);
  auto const* object = answer.if_object();
  context.out.text(object == nullptr ? "removed\n" : removal_text(*object));
  // The row is gone, but what was asked for did not happen completely.
  bool const incomplete = object != nullptr && object->contains("error");
  return incomplete ? kExitFailed : kExitDone;
}

}  // namespace homelab::cli
