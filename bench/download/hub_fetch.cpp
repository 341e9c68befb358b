// hub_fetch ENDPOINT HUB_FOLDER ORG/NAME[@REVISION][:VARIANT] [--everything] [--refresh] [--threads
// N]
//
// The download path alone, for benchmarks and fault tests: prints one JSON object; exit code 0, or
// 1 with "error".
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/log.h"
#include "base/strings.h"
#include "http/client.h"
#include "hub/downloader.h"

namespace {

using namespace homelab;

std::string environment(char const* name) {
  char const* value = std::getenv(name);
  return value ? value : "";
}

json::object describe(Result<hub::ReadySnapshot> const& result, double seconds) {
  json::object out;
  struct rusage used{};
  getrusage(RUSAGE_SELF, &used);
  out["seconds"] = seconds;
  out["peak_resident_mb"] = static_cast<double>(used.ru_maxrss) / 1024.0;
  out["user_seconds"] =
      static_cast<double>(used.ru_utime.tv_sec) + static_cast<double>(used.ru_utime.tv_usec) / 1e6;
  out["system_seconds"] =
      static_cast<double>(used.ru_stime.tv_sec) + static_cast<double>(used.ru_stime.tv_usec) / 1e6;
  if (!result) {
    out["error"] = result.error().message;
    out["code"] = to_string(result.error().code);
    return out;
  }
  out["commit"] = result->commit.text();
  out["folder"] = result->folder.string();
  out["model_path"] = result->model_path.string();
  out["format"] = result->format == hub::ModelFormat::kGguf ? "gguf" : "safetensors";
  out["variant"] = result->variant;
  out["total_bytes"] = result->total_bytes;
  out["downloaded_bytes"] = result->downloaded_bytes;
  return out;
}

struct Arguments {
  std::vector<std::string> words;
  bool everything = false;
  bool refresh = false;
  bool progress = false;
};

Arguments read(int argc, char** argv) {
  Arguments out;
  for (int i = 1; i < argc; ++i) {
    std::string const word = argv[i];
    if (word == "--everything")
      out.everything = true;
    else if (word == "--refresh")
      out.refresh = true;
    else if (word == "--progress")
      out.progress = true;
    else
      out.words.push_back(word);
  }
  return out;
}

void print_progress(hub::Progress const& progress) {
  std::fprintf(stderr, "progress %d %llu %llu %llu\n", static_cast<int>(progress.stage),
               static_cast<unsigned long long>(progress.present_bytes),
               static_cast<unsigned long long>(progress.downloaded_bytes),
               static_cast<unsigned long long>(progress.total_bytes));
}

}  // namespace

int main(int argc, char** argv) {
  auto const arguments = read(argc, argv);
  if (arguments.words.size() != 3) {
    std::fprintf(stderr,
                 "usage: hub_fetch ENDPOINT HUB_FOLDER ORG/NAME[@REVISION][:VARIANT] "
                 "[--everything] [--refresh] [--progress]\n");
    return 2;
  }
  setup_logging(environment("HUB_FETCH_LOG").empty() ? "warn" : environment("HUB_FETCH_LOG"));
  auto model = cache::ModelReference::parse(arguments.words[2]);
  if (!model) {
    std::fprintf(stderr, "%s\n", model.error().message.c_str());
    return 2;
  }
  auto const client = http::Client::create({"homelab-llm hub_fetch", 32, 64});
  hub::HubOptions options;
  options.endpoint = arguments.words[0];
  options.token = environment("HF_TOKEN");
  options.offline = !environment("HF_HUB_OFFLINE").empty();
  if (auto const unit = parse_uint(environment("HUB_FETCH_RETRY_UNIT_MS")))
    options.retry_unit = std::chrono::milliseconds(*unit);
  hub::Downloader::Options downloader_options;
  if (auto const reserve = parse_uint(environment("HUB_FETCH_RESERVE_BYTES")))
    downloader_options.free_space_reserve_bytes = *reserve;
  auto const downloader = hub::Downloader::create(*client, options, downloader_options);
  hub::DownloadRequest request{
      arguments.words[1], {}, std::move(*model), arguments.refresh, arguments.everything, {}, {}};
  if (arguments.progress) request.on_progress = print_progress;
  auto const start = std::chrono::steady_clock::now();
  auto const result = downloader->ensure(std::move(request));
  std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
  std::printf("%s\n", json::serialize(describe(result, took.count())).c_str());
  return result ? 0 : 1;
}
