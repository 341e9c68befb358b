"""Kills `cache prune` and `cache gc`, as a user calls them, before every single change to the disk; the modules below
the other commands are killed likewise in the files beside this one.

Whatever the moment: every visible blob has the hash of its name, no link dangles, the revision that stays is whole and
loads offline, Python's scanner has nothing to complain about. The same command, run again, gets to the end; a removal
whose target is no longer visible is finished by `cache gc`.
"""

import hashlib
import os
import shutil
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "support"), str(ROOT / "functional")]

from cache_tools import run_or_crash  # noqa: E402
from fault_hub import git_oid, random_bytes  # noqa: E402
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402
from running import PROGRAM, environment  # noqa: E402

PROGRAMS = (PROGRAM, PROGRAM.with_name("homelab-llm-crash"))
REPO = "org/model"
OLD, NEW = "a" * 40, "b" * 40
SHARED = random_bytes(40_000, 1)
FILES = {
    OLD: {"config.json": b'{"v": 1}', "model.gguf": SHARED, "sub/old.gguf": random_bytes(30_000, 2)},
    NEW: {"config.json": b'{"v": 2}', "model.gguf": SHARED, "sub/new.gguf": random_bytes(30_000, 3)},
}


def blob_name(path: str, content: bytes) -> str:
    return hashlib.sha256(content).hexdigest() if path.endswith(".gguf") else git_oid(content)


def write_repo(hub: Path) -> Path:
    """As Python leaves it: main is the newest commit, the other revision has no ref."""
    folder = hub / "models--org--model"
    for commit in FILES:
        for path, content in FILES[commit].items():
            blob = folder / "blobs" / blob_name(path, content)
            link = folder / "snapshots" / commit / path
            blob.parent.mkdir(parents=True, exist_ok=True)
            link.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content)
            link.symlink_to("../" * (2 + path.count("/")) + f"blobs/{blob.name}")
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(NEW)
    return folder


class House:
    def __init__(self, folder: Path):
        self.folder = folder
        self.root = folder / "root"
        self.hub = self.root / "hub"
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.root, SECONDARY_CACHE_PATH=folder / "second",
                               DATABASE_PATH=folder / "models.db", HF_HUB_OFFLINE="1", HOMELAB_LLM_PORT="1")

    def run(self, *words, crash_at=None):
        return run_or_crash("cache", *words, crash_at=crash_at, programs=PROGRAMS, env=self.env, folder=self.folder)

    def check(self, whole=(NEW,)):
        """What is visible is right, and the revisions in `whole` are complete."""
        for folder in self.hub.glob("models--*"):
            for blob in (folder / "blobs").glob("*"):
                if blob.suffix not in (".part", ".incomplete") and blob.name[0] != ".":  # names that no reader opens
                    content = blob.read_bytes()
                    assert blob.name in (hashlib.sha256(content).hexdigest(), git_oid(content))
            for link in (folder / "snapshots").rglob("*"):
                assert link.exists(), f"{link} dangles"
        assert [str(warning) for warning in scan_cache_dir(self.hub).warnings] == []
        for commit in whole:
            path = Path(snapshot_download(REPO, revision=commit, cache_dir=self.hub, local_files_only=True))
            found = {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if not p.is_dir()}
            assert found == FILES[commit]


def again(house, words):
    house.run(*words)


def and_collect(house, words):
    """The revision may be out of sight already; then the rest of it is garbage."""
    again(house, words)
    house.run("gc", "--older-than", "0s", "--yes", "--now")


def crash_everywhere(tmp_path, prepare, words, check, finish=again):
    """Runs `words` killed at step 1, 2, ... until it gets through; gives the number of steps."""
    for step in range(1, 400):
        house = House(tmp_path / str(step))
        prepare(house)
        ended = house.run(*words, crash_at=step) is not None
        check(house)
        if ended:
            return step - 1
        finish(house, words)
        check(house, done=True)
        shutil.rmtree(house.folder)
    raise AssertionError("the command never got to its end")


def freed(house) -> bool:
    return not (house.hub / "models--org--model" / "snapshots" / OLD).exists()


@pytest.mark.parametrize("flags", [[], ["--now"]], ids=["trash", "now"])
def test_a_revision_goes_and_the_other_stays_whole(tmp_path, flags):
    def check(house, done=False):
        house.check()
        if done:
            assert freed(house)
            blobs = {blob.name for blob in (house.hub / "models--org--model" / "blobs").iterdir()}
            assert blobs == {blob_name(path, content) for path, content in FILES[NEW].items()}

    steps = crash_everywhere(tmp_path, lambda house: write_repo(house.hub), ["prune", "--yes", *flags], check,
                             and_collect)
    assert steps >= 4


def test_collecting_garbage_touches_nothing_that_is_needed(tmp_path):
    def prepare(house):
        folder = write_repo(house.hub)
        orphan = random_bytes(5000, 9)
        (folder / "blobs" / hashlib.sha256(orphan).hexdigest()).write_bytes(orphan)
        (folder / "blobs" / f"{'c' * 64}.1234abcd.incomplete").write_bytes(b"half")
        (folder / "trees").mkdir()
        (folder / "trees" / f"{'d' * 40}.json").write_text("{}")

    def check(house, done=False):
        house.check(whole=(OLD, NEW))
        if done:
            names = {blob.name for blob in (house.hub / "models--org--model" / "blobs").iterdir()}
            assert names == {blob_name(path, content) for files in FILES.values() for path, content in files.items()}

    words = ["gc", "--older-than", "0s", "--yes"]
    assert crash_everywhere(tmp_path, prepare, words, check) >= 4
