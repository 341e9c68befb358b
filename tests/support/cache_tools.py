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


def run_or_crash(*words, crash_at=None, programs=(PROBE, CRASH_WRITER), env=None, folder=None):
    """What the program printed. With `crash_at` the second of `programs` runs, which ends itself before that change to
    the disk, counted from 1: None when it did, what it printed when it has fewer. Any other end is a failure.

    `env` is the whole environment; without, that of this process."""
    whole, crashing = programs
    env = dict(os.environ if env is None else env)
    if crash_at is not None:
        env["HOMELAB_LLM_CRASH_AT_STEP"] = str(crash_at)
    done = subprocess.run([str(whole if crash_at is None else crashing), *map(str, words)], cwd=folder, env=env,
                          capture_output=True, text=True, timeout=300)
    if crash_at is not None and done.returncode == CRASHED:
        return None
    assert done.returncode == 0, (words, crash_at, done.returncode, done.stdout, done.stderr)
    return done.stdout


def write(hub, repo, commit, revision, source, *, crash_at=None):
    """Publishes the files below `source`; `crash_at` and the answer as in run_or_crash()."""
    return run_or_crash("write", hub, repo, commit, revision, source, crash_at=crash_at)


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
