// serve, mirror, load, unload, ps, version: the server and what it is doing.
#include <fmt/format.h>

#include "base/strings.h"
#include "commands.h"
#include "exit_code.h"
#include "locations.h"
#include "server_link.h"
#include "table.h"

namespace homelab::cli {
namespace {

// Beside the server's 8000, so that both run on one machine without a flag.
constexpr int kMirrorPort = 8001;

std::string text_of(json::object const& object, std::string_view key) {
  return get_string(object, key).value_or("");
}

/// "45 % of 134.0 MB" of a job that moves bytes.
std::string job_progress(json::object const& job) {
  auto const total = get_int(job, "total_bytes").value_or(0);
  auto const done = get_int(job, "done_bytes").value_or(0);
  if (total <= 0 || done < 0) return "";
  return fmt::format("{} % of {}", done * 100 / total,
                     human_bytes(static_cast<std::uint64_t>(total)));
}

std::string job_table(json::array const& jobs) {
  Table table({{"JOB", Align::kRight}, {"KIND"}, {"MODEL"}, {"STATE"}, {"PROGRESS"}, {"ERROR"}});
  for (auto const& entry : jobs) {
    auto const* job = entry.if_object();
    if (job == nullptr) continue;
    auto const number = get_int(*job, "id");
    table.add({number ? std::to_string(*number) : text_of(*job, "id"), text_of(*job, "kind"),
               text_of(*job, "model"), text_of(*job, "state"), job_progress(*job),
               text_of(*job, "error")});
  }
  return table.empty() ? "" : table.render();
}

/// What is not as it should be; nothing for an engine that keeps its own house.
std::string sandbox_note(json::object const& engine) {
  auto const* const value = engine.if_contains("sandbox");
  auto const* const sandbox = value == nullptr ? nullptr : value->if_object();
  if (sandbox == nullptr) return "no sandbox";
  return get_bool(*sandbox, "complete").value_or(false) ? "" : "sandbox incomplete";
}

std::string engine_table(json::array const& engines) {
  Table table({{"LOADED"},
               {"DEVICE"},
               {"TYPE"},
               {"MEMORY", Align::kRight},
               {"REQUESTS", Align::kRight},
               {"PROCESS", Align::kRight},
               {"NOTE"}});
  for (auto const& entry : engines) {
    auto const* engine = entry.if_object();
    if (engine == nullptr) continue;
    auto const number = [&](std::string_view key) { return get_int(*engine, key).value_or(0); };
    std::string note = get_bool(*engine, "current").value_or(false) ? "the loaded model" : "";
    if (get_bool(*engine, "pinned").value_or(false)) note += note.empty() ? "pinned" : ", pinned";
    if (auto const url = text_of(*engine, "url"); !url.empty()) {
      auto const name = text_of(*engine, "engine");
      note +=
          fmt::format("{}{}{}", note.empty() ? "" : ", ", name.empty() ? "" : name + " at ", url);
    }
    if (std::string const sandbox = sandbox_note(*engine); !sandbox.empty())
      note += (note.empty() ? "" : ", ") + sandbox;
    table.add({printable(text_of(*engine, "model_name")), text_of(*engine, "device"),
               text_of(*engine, "dtype"),
               human_bytes(
                   static_cast<std::uint64_t>(std::max<std::int64_t>(0, number("resident_bytes")))),
               std::to_string(number("active_requests")), std::to_string(number("process")),
               printable(note)});
  }
  return table.empty() ? "" : table.render();
}

std::string status_text(std::string const& base_url, json::object const& status) {
  std::vector<std::pair<std::string, std::string>> fields{
      {"server", base_url}, {"loaded model", get_string(status, "loaded_model").value_or("none")}};
  if (auto const logging = get_bool(status, "performance_logging"))
    fields.emplace_back("performance logging", *logging ? "on" : "off");
  return render_fields(fields);
}

}  // namespace

Outcome execute(Context const& context, ServeCommand const&) {
  return context.hooks.serve(context.settings);
}

Outcome execute(Context const& context, MirrorCommand const& command) {
  auto const port = context.settings.find("HOMELAB_LLM_PORT");
  // The environment's port is the server's; only a flag can mean the mirror.
  bool const asked = port && port->origin.source == config::Source::kFlag;
  return context.hooks.serve_mirror(context.settings, absolute_path(command.root),
                                    context.settings.host(),
                                    asked ? context.settings.port() : kMirrorPort);
}

Outcome execute(Context const& context, LoadCommand const& command) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect(context));
  ASSIGN_OR_RETURN(auto const row, find_or_register(link.api(), context.out, command.model));
  ASSIGN_OR_RETURN(auto const answer,
                   load_with_progress(link, row.name, command.force, command.beside));
  context.out.value(answer);
  auto const* object = answer.if_object();
  std::string const type = object == nullptr ? "" : text_of(*object, "model_type");
  context.out.text(fmt::format("loaded {}{}\n", printable(row.name),
                               type.empty() ? "" : " (" + printable(type) + ")"));
  return kExitDone;
}

Outcome execute(Context const& context, UnloadCommand const& command) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect(context));
  json::object body;
  if (!command.model.empty()) body["model_name"] = command.model;
  ASSIGN_OR_RETURN(auto const answer, link.api().post("/api/orchestrate/unload", body));
  context.out.value(answer);
  auto const* object = answer.if_object();
  std::string words = object == nullptr ? "" : text_of(*object, "message");
  context.out.text(printable(words.empty() ? "unloaded" : words) + "\n");
  return kExitDone;
}

Outcome execute(Context const& context, PsCommand const&) {
  ASSIGN_OR_RETURN(auto link, ServerLink::connect(context));
  ASSIGN_OR_RETURN(auto status, link.api().get("/api/status"));
  ASSIGN_OR_RETURN(auto jobs, link.api().get("/api/jobs"));
  ASSIGN_OR_RETURN(auto engines, link.api().get("/api/engines"));
  if (!status.is_object() || !jobs.is_object() || !engines.is_object())
    return fail(Code::kDataLoss, "the server's status is no JSON object");
  auto const* loaded = get_array(engines.get_object(), "engines");
  auto const* list = get_array(jobs.get_object(), "jobs");
  json::array const none;
  context.out.text(status_text(link.api().base_url(), status.get_object()));
  if (std::string const table = engine_table(loaded == nullptr ? none : *loaded); !table.empty())
    context.out.text("\n" + table);
  if (std::string const table = job_table(list == nullptr ? none : *list); !table.empty())
    context.out.text("\n" + table);
  context.out.value(json::object{{"server", link.api().base_url()},
                                 {"status", status},
                                 {"engines", loaded == nullptr ? none : *loaded},
                                 {"jobs", list == nullptr ? none : *list}});
  return kExitDone;
}

Outcome execute(Context const& context, VersionCommand const&) {
  context.out.text(fmt::format("homelab-llm {}\n", context.hooks.version));
  context.out.value(json::object{{"name", "homelab-llm"}, {"version", context.hooks.version}});
  return kExitDone;
}

}  // namespace homelab::cli
