#include "cache_choices.h"

#include <array>
#include <filesystem>

#include "cache/names.h"
#include "validation.h"

namespace homelab::api {
namespace {

constexpr std::array<std::string_view, 3> kLocations = {"primary", "secondary", "custom"};
constexpr std::array<std::string_view, 2> kOwnLocations = {"primary", "secondary"};

Problem value_error(std::string const& why) {
  return {"value_error", "Value error, " + why, {{"error", json::object()}}};
}

/// Accepts what `parse` accepts, in the words of its error.
template <class T>
BodyReader::Clean accepted_by(Result<T> (*parse)(std::string_view)) {
  return [parse](std::string const& text) -> Lenient<std::string> {
    auto const parsed = parse(text);
    if (parsed) return text;
    return tl::unexpected<Problem>(value_error(parsed.error().message));
  };
}

BodyReader::Clean absolute(std::string_view what) {
  return [what = std::string(what)](std::string const& text) -> Lenient<std::string> {
    if (text.starts_with('/') && text.find('\0') == std::string::npos) return text;
    return tl::unexpected<Problem>(
        value_error(what + " must be an absolute path: the server has a folder of its own"));
  };
}

/// "location" and "path"; both absent means the command's default.
care::Place read_place(BodyReader& body) {
  care::Place place;
  place.location = body.one_of("location", kLocations, "");
  place.path = body.text_or("path", "", absolute("path"));
  if (place.location == "custom" && place.path.empty())
    body.refuse_value("location", "location custom needs the path of its root");
  if (!place.path.empty() && !place.location.empty() && place.location != "custom")
    body.refuse_value("path", "a path belongs to location custom, not " + place.location);
  return place;
}

care::RemovalChoice read_removal(BodyReader& body) {
  care::RemovalChoice common;
  common.place = read_place(body);
  common.force = body.boolean_or("force", false);
  common.dry_run = body.boolean_or("dry_run", false);
  common.now = body.boolean_or("now", false);
  return common;
}

CacheChoice read_verify(BodyReader& body) {
  care::VerifyChoice choice;
  choice.repos = body.texts("repos", false);
  choice.place = read_place(body);
  choice.all_again = body.boolean_or("all_again", false);
  choice.repair = body.boolean_or("repair", false);
  choice.keep_wrong = body.boolean_or("keep_bad", false);
  choice.dry_run = body.boolean_or("dry_run", false);
  choice.threads = static_cast<unsigned>(
      body.integer_or("threads", 0, {.low = 0, .high = 256, .integer = true}));
  if (choice.keep_wrong && !choice.repair)
    body.refuse_value("keep_bad", "keep_bad belongs to repair");
  if (choice.repair && choice.dry_run)
    body.refuse_value("dry_run", "a repair cannot be tried without doing it");
  return choice;
}

CacheChoice read_gc(BodyReader& body) {
  care::GcChoice choice;
  choice.older_than = body.text_or("older_than", choice.older_than, accepted_by(care::parse_age));
  choice.partials = body.boolean_or("partials", false);
  choice.common = read_removal(body);
  return choice;
}

CacheChoice read_rm(BodyReader& body) {
  care::RmChoice choice;
  choice.targets = body.texts("targets", true, accepted_by(cache::RemovalTarget::parse));
  choice.common = read_removal(body);
  return choice;
}

CacheChoice read_prune(BodyReader& body) {
  care::PruneChoice choice;
  choice.repos = body.texts("repos", false, accepted_by(cache::RemovalTarget::parse));
  choice.keep = static_cast<std::size_t>(
      body.integer_or("keep", 0, {.low = 0, .high = 1e9, .integer = true}));
  choice.common = read_removal(body);
  return choice;
}

CacheChoice read_mv(BodyReader& body) {
  care::MvChoice choice;
  choice.repo = body.text("repo", accepted_by(cache::RemovalTarget::parse));
  choice.to = body.one_of("to", kOwnLocations, "");
  choice.path = body.text_or("path", "", absolute("path"));
  choice.from = body.one_of("from", kOwnLocations, "");
  choice.force = body.boolean_or("force", false);
  choice.dry_run = body.boolean_or("dry_run", false);
  if (choice.to.empty() == choice.path.empty())
    body.refuse_value("to", "exactly one of to (a location) and path (a root) says where");
  return choice;
}

CacheChoice read_adopt(BodyReader& body) {
  care::AdoptChoice choice;
  choice.sources = body.texts("sources", true, absolute("a source"));
  choice.as = body.text_or("as", "", accepted_by(cache::RepoId::parse));
  choice.place = read_place(body);
  choice.move = body.boolean_or("move", false);
  choice.copy = body.boolean_or("copy", false);
  choice.dry_run = body.boolean_or("dry_run", false);
  if (!choice.as.empty() && choice.sources.size() > 1)
    body.refuse_value("as", "it names one model; give one source with it");
  return choice;
}

CacheChoice read_dedup(BodyReader& body) {
  return care::DedupChoice{body.boolean_or("dry_run", false)};
}

CacheChoice read_bridge(BodyReader& body) {
  care::BridgeChoice choice;
  choice.place = read_place(body);
  choice.dry_run = body.boolean_or("dry_run", false);
  choice.undo = body.boolean_or("undo", false);
  return choice;
}

CacheChoice read_undo(BodyReader& body) { return care::UndoChoice{body.text_or("id", "")}; }

CacheChoice read_trash_empty(BodyReader& body) {
  return care::TrashEmptyChoice{body.text_or("id", "")};
}

CacheChoice read_update(BodyReader& body) {
  care::UpdateChoice choice;
  choice.names = body.texts("names", false);
  choice.check = body.boolean_or("check", false);
  choice.rollback = body.boolean_or("rollback", false);
  choice.dry_run = body.boolean_or("dry_run", false);
  if (auto const to = body.text_or("to", "", accepted_by(cache::Revision::parse)); !to.empty())
    choice.to = to;
  auto const keep = body.integer_or("keep", 0, {.low = 1, .high = 1000, .integer = true});
  if (keep > 0) choice.keep = static_cast<std::size_t>(keep);
  if (choice.keep && choice.check) body.refuse_value("keep", "it does not go with check");
  if (choice.to && choice.names.size() != 1)
    body.refuse_value("to", "it is for one model; name it in names");
  if (choice.rollback && choice.names.size() != 1)
    body.refuse_value("rollback", "it is for one model; name it in names");
  if (choice.rollback && (choice.to || choice.check))
    body.refuse_value("rollback", "it goes neither with to nor with check");
  return choice;
}

CacheChoice read_export(BodyReader& body) {
  care::ExportChoice choice;
  choice.repos = body.texts("repos", true, accepted_by(cache::RemovalTarget::parse));
  choice.revision = body.text_or("revision", "", accepted_by(cache::Revision::parse));
  choice.place = read_place(body);
  choice.file = body.text("file", absolute("file"));
  choice.dry_run = body.boolean_or("dry_run", false);
  // A caller of the server must not be able to replace any file that the server may write.
  std::error_code error;
  if (!choice.file.ends_with(".tar"))
    body.refuse_value("file", "its name must end in .tar");
  else if (std::filesystem::exists(std::filesystem::symlink_status(choice.file, error)))
    body.refuse_value("file", "it is there already; remove it or choose another name");
  return choice;
}

CacheChoice read_import(BodyReader& body) {
  care::ImportChoice choice;
  choice.file = body.text("file", absolute("file"));
  choice.place = read_place(body);
  choice.force = body.boolean_or("force", false);
  choice.dry_run = body.boolean_or("dry_run", false);
  return choice;
}

struct Command {
  std::string_view name;
  CacheChoice (*read)(BodyReader&);
};
constexpr std::array kCommands{
    Command{"verify", read_verify}, Command{"gc", read_gc},
    Command{"rm", read_rm},         Command{"prune", read_prune},
    Command{"mv", read_mv},         Command{"adopt", read_adopt},
    Command{"dedup", read_dedup},   Command{"bridge", read_bridge},
    Command{"undo", read_undo},     Command{"trash_empty", read_trash_empty},
    Command{"update", read_update}, Command{"export", read_export},
    Command{"import", read_import}};

constexpr auto kNames = [] {
  std::array<std::string_view, kCommands.size()> names;
  for (std::size_t i = 0; i < names.size(); ++i) names[i] = kCommands[i].name;
  return names;
}();

}  // namespace

tl::expected<CacheJobRequest, http::Response> read_cache_job(http::Request const& request) {
  BodyReader body(request);
  CacheJobRequest out;
  out.command = body.one_of("command", kNames, "");
  if (out.command.empty()) {
    if (auto rejection = body.rejection())
      return tl::unexpected<http::Response>(*std::move(rejection));
    // No reader refused it, so it is not there.
    (void)body.text("command");
    return tl::unexpected<http::Response>(body.rejection().value());
  }
  for (Command const& command : kCommands)
    if (command.name == out.command) out.choice = command.read(body);
  body.forbid_others();
  if (auto rejection = body.rejection())
    return tl::unexpected<http::Response>(*std::move(rejection));
  out.fields = body.fields();
  return out;
}

}  // namespace homelab::api
