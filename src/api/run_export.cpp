// GET /api/analytics/export: rows as CSV or JSON. They go page by page into a file without a name,
// which the kernel then sends at the client's speed: memory stays small however many they are.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <filesystem>
#include <limits>
#include <span>

#include "base/json.h"
#include "base/os/file.h"
#include "config/settings.h"
#include "dialects.h"
#include "replies.h"
#include "run_json.h"
#include "run_query.h"

namespace homelab::api {
namespace {

using http::Reply;
using http::Request;

constexpr int kPage = 1000;
constexpr std::array<std::string_view, 2> kFormats = {"json", "csv"};

/// A text that a table program would take for a formula gets a quote in front.
std::string csv_field(json::value const& value) {
  if (value.is_null()) return "";
  if (!value.is_string() && !value.is_object()) return json::serialize(value);
  std::string const text =
      value.is_string() ? std::string(value.get_string()) : json::serialize(value);
  std::string out = "\"";
  if (!text.empty() && std::string_view("=+-@\t\r").find(text.front()) != std::string_view::npos)
    out += '\'';
  for (char const c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  return out + '"';
}

std::string csv_line(json::object const& row, bool names) {
  std::string line;
  for (auto const& [key, value] : row)
    line += (line.empty() ? "" : ",") + (names ? std::string(key) : csv_field(value));
  return line + "\r\n";
}

class ExportFile {
 public:
  [[nodiscard]] static Result<ExportFile> create(std::filesystem::path const& folder) {
    if (auto file = os::open_file(folder, O_TMPFILE | O_RDWR, 0600))
      return ExportFile(*std::move(file));
    // Not every file system has files without a name.
    static std::atomic<unsigned> last{0};
    auto const path = folder / fmt::format(".homelab-export-{}-{}.tmp", ::getpid(), ++last);
    ASSIGN_OR_RETURN(auto file, os::open_file(path, O_CREAT | O_EXCL | O_NOFOLLOW | O_RDWR, 0600));
    RETURN_IF_ERROR(os::remove_file(path));
    return ExportFile(std::move(file));
  }
  Status add(std::string_view text) {
    RETURN_IF_ERROR(os::write_all_at(file_.get(), std::as_bytes(std::span(text)), size_));
    size_ += text.size();
    return {};
  }
  [[nodiscard]] Reply reply(bool csv) && {
    http::FileReply reply;
    reply.headers.set("content-type", csv ? "text/csv; charset=utf-8" : "application/json");
    reply.headers.set("content-disposition", csv ? "attachment; filename=\"runs.csv\""
                                                 : "attachment; filename=\"runs.json\"");
    reply.headers.set("cache-control", "no-store");
    reply.file = std::move(file_);
    reply.size_bytes = size_;
    return reply;
  }

 private:
  explicit ExportFile(os::UniqueFd file) : file_(std::move(file)) {}
  os::UniqueFd file_;
  std::uint64_t size_ = 0;
};

Status write_rows(registry::Registry& registry, registry::RunFilter const& filter, bool csv,
                  ExportFile& file) {
  // What comes meanwhile is not part of it, or it might never end.
  ASSIGN_OR_RETURN(auto const newest,
                   registry.runs_before({}, std::numeric_limits<std::int64_t>::max(), 1));
  std::int64_t const last = newest.empty() ? 0 : newest.front().id;
  std::int64_t after = 0;
  bool first = true;
  RETURN_IF_ERROR(file.add(csv ? csv_line(run_json({}), true) : "["));
  while (after < last) {
    ASSIGN_OR_RETURN(auto const page, registry.runs_after(filter, after, kPage));
    if (page.empty()) break;
    std::string text;
    for (auto const& row : page) {
      after = row.id;
      if (row.id > last) break;
      if (!csv && !first) text += ",\n";
      text += csv ? csv_line(run_json(row), false) : json::serialize(run_json(row));
      first = false;
    }
    RETURN_IF_ERROR(file.add(text));
  }
  return csv ? Status{} : file.add("]\n");
}

Reply export_runs(Services const& services, Request const& request) {
  auto const filter = run_filter(request);
  if (!filter) return filter.error();
  auto const format = one_of(request, "format", kFormats);
  if (!format) return format.error();
  bool const csv = *format == 1;
  services.registry.flush();
  auto file = ExportFile::create(services.settings.database_path().parent_path());
  if (!file) return error_reply(file.error());
  if (auto const written = write_rows(services.registry, *filter, csv, *file); !written)
    return error_reply(written.error());
  return std::move(*file).reply(csv);
}

}  // namespace

void add_run_export_route(http::Router& router, SharedServices const& services) {
  router.add("GET", "/api/analytics/export",
             [services](Request const& request) { return export_runs(*services, request); });
}

}  // namespace homelab::api
