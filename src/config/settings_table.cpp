#include <array>

#include "config/settings.h"

namespace homelab::config {
namespace {

// Order: as explained to people, most asked for first. docs/settings.md is made from this table.
constexpr std::array kTable{
    Setting{
        "PRIMARY_CACHE_PATH", "", "",
        "Root of the primary cache; model files are below its hub/ folder. Unset: HF_HOME, else "
        "XDG_CACHE_HOME/huggingface, else ~/.cache/huggingface."},
    Setting{"PRIMARY_CACHE_LIMIT_GB", "", "100",
            "Quota of the primary cache in gigabytes (1024^3 bytes)."},
    Setting{"SECONDARY_CACHE_PATH", "", "/mnt/z/llm-models-cache",
            "Root of the secondary cache. The folder is made when something is stored there, not "
            "at start."},
    Setting{"SECONDARY_CACHE_LIMIT_GB", "", "2000",
            "Quota of the secondary cache in gigabytes (1024^3 bytes)."},
    Setting{"CUSTOM_CACHE_PATHS", "", "",
            "Roots of further caches to look after, separated by ':'; =N behind one is its quota "
            "in gigabytes: /mnt/a:/mnt/nas/llm=500. Models use one with cache location custom."},
    Setting{"CACHE_RESERVE_GB", "", "1",
            "Gigabytes that downloads leave free on a cache's disk; 0 = none."},
    Setting{"CACHE_PATH_MAP", "", "",
            "HOST=HERE, several separated by ':': folders whose host path has another name in this "
            "container. Wins over what the mounts say."},
    Setting{"HOMELAB_LLM_ALLOW_CONTAINER_LAYER", "", "false",
            "Must be true to download to a container's own layer, where it is lost with the "
            "container."},
    Setting{"CACHE_WARNING_THRESHOLD", "", "0.9",
            "Part of a quota (above 0, at most 1) from which on a cache is shown as nearly full."},
    Setting{"DATABASE_PATH", "--database", "models.db", "The registry's SQLite file."},
    Setting{"HOMELAB_LLM_HOST", "--host", "127.0.0.1", "Address to listen on."},
    Setting{"HOMELAB_LLM_PORT", "--port", "8000", "Port to listen on; 0 takes a free one."},
    Setting{"HOMELAB_LLM_ALLOW_REMOTE", "--allow-remote", "false",
            "Must be true to listen on an address that other machines can reach: there is no API "
            "key protection yet."},
    Setting{"HOMELAB_LLM_ALLOWED_HOSTS", "", "",
            "Further names under which the server may be called, separated by commas; .example.org "
            "also means every name below it, * every name. Addresses, localhost and this machine's "
            "own names need not be listed."},
    Setting{"HOMELAB_LLM_CORS_ORIGINS", "", "",
            "Web pages that may use the server from a browser, separated by commas: "
            "https://chat.example.org, http://nas:* (any port), * (every page). Unset: pages that "
            "this machine itself serves. The server's own page always may."},
    Setting{"HF_HOME", "", "",
            "Home of the Hub's own tools: the cache is its hub/ folder, the token its file token."},
    Setting{"HF_HUB_CACHE", "", "",
            "The hub folder itself (it holds models--*). Counts only while PRIMARY_CACHE_PATH is "
            "unset."},
    Setting{"HUGGINGFACE_HUB_CACHE", "", "", "Older name of HF_HUB_CACHE; HF_HUB_CACHE wins."},
    Setting{"XDG_CACHE_HOME", "", "",
            "Where caches are kept: its folder huggingface is the home when HF_HOME is unset."},
    Setting{"HF_ENDPOINT", "", "https://huggingface.co", "The Hub, or a mirror of it."},
    Setting{"HF_TOKEN", "", "", "Token for gated and private repositories.", true},
    Setting{"HUGGING_FACE_HUB_TOKEN", "", "", "Older name of HF_TOKEN; HF_TOKEN wins.", true},
    Setting{"HF_TOKEN_PATH", "", "",
            "File with the token, for when HF_TOKEN is unset. Unset: HF_HOME/token."},
    Setting{"HF_HUB_OFFLINE", "", "",
            "1, ON, YES or TRUE: never ask the Hub; use what is in the cache."},
    Setting{"TRANSFORMERS_OFFLINE", "", "", "As HF_HUB_OFFLINE; counts only while that is unset."},
    Setting{"HF_HUB_DISABLE_SYMLINKS", "", "",
            "1, ON, YES or TRUE: files instead of links in snapshots."},
    Setting{"HOMELAB_LLM_ENGINE", "--engine", "",
            "The engine's program. Unset: homelab-llm-engine beside this program."},
    Setting{"HOMELAB_LLM_ENGINES_FILE", "--engines-file", "",
            "JSON file with the external engines that registered models may name "
            "(docs/external-engines.md)."},
    Setting{"HOMELAB_LLM_ENGINE_SANDBOX", "--engine-sandbox", "on",
            "off: engines keep the server's rights (for a GPU driver that needs more than the "
            "sandbox leaves)."},
    Setting{"HOMELAB_LLM_THREADS", "--threads", "0",
            "Processor threads of all engines together; 0 = usable cores minus one."},
    Setting{"HOMELAB_LLM_CONTEXT", "--context", "0",
            "Context in tokens for each slot; 0 = the model's own, at most 8192."},
    Setting{"HOMELAB_LLM_SLOTS", "--slots", "4",
            "Requests that one engine works on at the same time."},
    Setting{"HOMELAB_LLM_GPU_LAYERS", "--gpu-layers", "auto",
            "Layers of a model that are put on the GPU; auto = as many as fit."},
    Setting{"HOMELAB_LLM_MAX_LOADED", "--max-loaded", "3",
            "Models that may be loaded at the same time, as far as memory allows."},
    Setting{"HOMELAB_LLM_IDLE_UNLOAD_S", "--idle-unload-s", "0",
            "Seconds without a request after which a model is unloaded; 0 = never."},
    Setting{"HOMELAB_LLM_HANG_S", "--hang-s", "120",
            "Seconds for which an engine with requests may neither answer nor work nor read before "
            "it is ended; 0 = for ever."},
    Setting{"HOMELAB_LLM_PINNED", "--pinned", "",
            "Registered models, separated by commas, that are never unloaded for another one or "
            "because they are idle."},
    Setting{"HOMELAB_LLM_PRELOAD", "--preload", "",
            "Registered models, separated by commas, that are loaded when the server starts."},
    Setting{"HOMELAB_LLM_PING_MS", "--ping-ms", "10000",
            "Milliseconds of silence after which a streamed answer gets a sign of life, also while "
            "it waits for its model; 0 = never."},
    Setting{"HOMELAB_LLM_TRASH_HOURS", "--trash-hours", "24",
            "Hours for which removed files can be brought back with cache undo; 0 = deleted at "
            "once."},
    Setting{"HOMELAB_LLM_LOG_RUNS", "--log-runs", "",
            "on or off: a row for every run of a model. Unset: as it was switched last over the "
            "API, at first on."},
    Setting{"HOMELAB_LLM_RUNS_KEEP_DAYS", "--runs-keep-days", "0",
            "Days for which rows of runs are kept; 0 = for ever. Figures of them stay longer."},
    Setting{"HOMELAB_LLM_RUNS_KEEP", "--runs-keep", "1000000",
            "Rows of runs that are kept, the newest; 0 = all."},
    Setting{"HOMELAB_LLM_LOG_LEVEL", "--log-level", "info", "debug, info, warn or error."},
};

}  // namespace

std::span<Setting const> settings_table() { return kTable; }

std::string settings_page() {
  std::string page =
      "# Settings\n\n"
      "A flag wins over the environment, the environment over the `.env` file, the file over the "
      "default.\n"
      "The file is `.env` in the working directory, or the one named by `--env-file`; it is read "
      "as docker compose reads\n"
      "it. `homelab-llm explain` shows every value in effect and where it came from.\n\n"
      "A variable that is set but empty counts as unset here, with a warning: the Hub's Python "
      "client takes an empty\n"
      "`HF_HOME` or `HF_HUB_CACHE` as a folder relative to the working directory.\n\n"
      "| Setting | Flag | Default | Meaning |\n|---|---|---|---|\n";
  for (Setting const& row : kTable) {
    auto const code = [](std::string_view text) {
      return text.empty() ? std::string() : "`" + std::string(text) + "`";
    };
    page += "| " + code(row.name) + " | " + code(row.flag) + " | " + code(row.fallback) + " | " +
            std::string(row.meaning) + (row.secret ? " Secret: never shown." : "") + " |\n";
  }
  return page;
}

}  // namespace homelab::config
