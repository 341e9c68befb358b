"""Runs the cache's test programs (tests/crash/cache_probe.cpp) from Python tests.

HOMELAB_BIN_DIR names their folder; by default it is build/bin of the checkout.
"""

import json
import os
import subprocess
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
BIN = Path(os.environ.get("HOMELAB_BIN_DIR", CHECKOUT / "build" / "bin"))
PROBE = BIN / "cache_probe"
CRASH_WRITER = BIN / "cache_crash_writer"
CRASHED = 137


def run(program, *arguments, env=None, check=True):
    return subprocess.run(
        [str(program), *map(str, arguments)],
        env={**os.environ, **(env or {})},
        check=check,
        capture_output=True,
        text=True,
        timeout=120,
    )


def write(hub, repo, commit, revision, source, *, program=PROBE, crash_at=None):
    """Publishes the files below `source`; with `crash_at`, the program ends itself before that step."""
    env = {} if crash_at is None else {"HOMELAB_LLM_CRASH_AT_STEP": str(crash_at)}
    return run(program, "write", hub, repo, commit, revision, source, env=env, check=crash_at is None)


def show(hub, repo, revision="main"):
    """What the C++ reader sees."""
    return json.loads(run(PROBE, "show", hub, repo, revision).stdout)


def make_source(folder, files):
    for name, content in files.items():
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return folder


def read_tree(folder):
    """All files below a folder, links followed, as {relative name: content}."""
    folder = Path(folder)
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
