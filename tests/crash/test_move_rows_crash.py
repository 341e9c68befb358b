"""Kills `cache mv` of a registered model before every single change to the disk.

Whatever the moment: where the registration says that the model is, it is whole, so that the next load downloads nothing;
Python's scanner is content with both caches; the same command, run again, gets to the end, and the registration with it.
"""

import contextlib
import hashlib
import os
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "support"), str(ROOT / "functional")]

from fault_hub import FaultHub, random_bytes  # noqa: E402
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402
from running import PROGRAM, Server, command, environment  # noqa: E402
from test_cli import FAKE_ENGINE  # noqa: E402

CRASHED = 137
CRASH_PROGRAM = PROGRAM.with_name("homelab-llm-crash")
REPO = "org/tiny-GGUF"
FILES = {"tiny.Q4_1.gguf": b"GGUF" + random_bytes(60_000, 1), "README.md": b"# Tiny\n"}
MOST_STEPS = 400


class House:
    """A registered and downloaded model; restore() brings back that moment at the same paths."""

    def __init__(self, folder: Path, target: Path, hub: FaultHub):
        self.state, self.template, self.target = folder / "house", folder / "template", target
        self.state.mkdir()
        self.server = hub
        self.commit = hub.add(REPO, FILES).commit
        self.source = self.state / "hf"
        self.env = environment(self.state / "home", PRIMARY_CACHE_PATH=self.source, SECONDARY_CACHE_PATH=target,
                               DATABASE_PATH=self.state / "models.db", HF_ENDPOINT=hub.endpoint, HOMELAB_LLM_PORT="1",
                               HOMELAB_LLM_ENGINE=FAKE_ENGINE)
        for name in ("tiny", "again"):
            self.run("register", name, REPO)
        self.run("pull", REPO)
        shutil.copytree(self.state, self.template, symlinks=True)

    def restore(self):
        shutil.rmtree(self.state)
        shutil.copytree(self.template, self.state, symlinks=True)
        shutil.rmtree(self.target, ignore_errors=True)
        self.server.clear_log()

    def run(self, *words, crash_at=None):
        env = {**self.env, **({"HOMELAB_LLM_CRASH_AT_STEP": str(crash_at)} if crash_at else {})}
        done = command(env, self.state, *words, program=CRASH_PROGRAM if crash_at else PROGRAM)
        assert done.returncode in (0, *([CRASHED] if crash_at else [])), (words, crash_at, done.stdout, done.stderr)
        return done.returncode

    def locations(self):
        """What the registry's file says; both rows always agree."""
        with contextlib.closing(sqlite3.connect(self.state / "models.db")) as database:
            rows = set(database.execute("SELECT cache_location, cache_path FROM modelregistry"))
        assert len(rows) == 1, rows
        return rows.pop()

    def registered_root(self) -> Path:
        location, path = self.locations()
        assert Path(path) == {"primary": self.source, "secondary": self.target}[location]
        return Path(path)

    def check(self):
        for root in (self.source, self.target):
            if (root / "hub").is_dir():
                unfinished = root == self.target and self.registered_root() == self.source
                for warning in map(str, scan_cache_dir(root / "hub").warnings):
                    assert unfinished and "Snapshots dir doesn't exist" in warning
        found = Path(snapshot_download(REPO, revision=self.commit, cache_dir=self.registered_root() / "hub",
                                       local_files_only=True))
        assert {path.name: path.read_bytes() for path in found.iterdir()} == FILES

    def loads(self):
        """Without a request for a file."""
        server = Server(self.state, self.env)
        try:
            status, answer = server.call("POST", "/api/orchestrate/load", {"model_name": "tiny"})
            assert status == 200, answer
        finally:
            server.stop()
        assert self.server.gets() == []


@pytest.fixture(params=["link", "copy"])
def house(request, tmp_path):
    """The other location on the same file system, and on another one."""
    other = Path(tempfile.mkdtemp(dir="/dev/shm")) if request.param == "copy" else tmp_path
    with FaultHub() as hub:
        made = House(tmp_path, other / "second", hub)
        made.way = request.param
        yield made
    if other != tmp_path:
        shutil.rmtree(other)


def test_a_registered_model_is_whole_where_its_row_says(house):
    words = ("cache", "mv", REPO, "--to", "secondary", "--yes")
    roots = []
    for step in range(1, MOST_STEPS):
        house.restore()
        code = house.run(*words, crash_at=step)
        house.check()
        roots.append(house.registered_root())
        if code == 0:
            break
        changed = len(roots) < 2 or roots[-1] != roots[-2]
        if changed:
            house.loads()
        if step % 3 and not changed:
            continue
        assert house.run(*words) == 0
        house.check()
        assert house.registered_root() == house.target
        assert not (house.source / "hub" / "models--org--tiny-GGUF").exists()
    assert 10 < step < MOST_STEPS - 1
    switched = roots.index(house.target)
    assert switched > 5 and set(roots[switched:]) == {house.target}, "the rows change once"
    assert step - switched > 3, "and the source goes after that"
    blob = house.target / "hub/models--org--tiny-GGUF/blobs" / hashlib.sha256(FILES["tiny.Q4_1.gguf"]).hexdigest()
    assert blob.read_bytes() == FILES["tiny.Q4_1.gguf"]
    house.loads()
