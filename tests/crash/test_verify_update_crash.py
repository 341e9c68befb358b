"""Kills `cache verify --repair` and `update` before every single change to the disk.

Whatever the moment: the damaged content is still somewhere until the right one is in place, a ref never leads to
something incomplete, Python's scanner is content, and the same command, run again, gets to the end.
"""

import hashlib
import os
import shutil
import sys
import warnings
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
ROOT = Path(__file__).resolve().parents[1]
sys.path += [str(ROOT / "support"), str(ROOT / "functional")]

from cache_tools import run_or_crash  # noqa: E402
from fault_hub import FaultHub, random_bytes  # noqa: E402
from huggingface_hub import hf_hub_download, scan_cache_dir  # noqa: E402
from running import PROGRAM, environment  # noqa: E402
from test_cli import FAKE_ENGINE  # noqa: E402

PROGRAMS = (PROGRAM, PROGRAM.with_name("homelab-llm-crash"))
REPO = "org/tiny-GGUF"
GGUF = "tiny.Q4_1.gguf"
OLD_CONTENT = b"GGUF" + random_bytes(300_000, 1)
NEW_CONTENT = b"GGUF" + random_bytes(300_000, 2)
MOST_STEPS = 400


class House:
    """A registered and downloaded model; restore() brings back the folder of that moment, at the same path."""

    def __init__(self, folder: Path, hub: FaultHub):
        self.folder, self.template = folder / "house", folder / "template"
        self.folder.mkdir()
        self.server = hub
        self.repo = hub.add(REPO, {GGUF: OLD_CONTENT, "README.md": b"# Tiny\n"})
        self.old = self.repo.commit
        self.hub = self.folder / "hf" / "hub"
        self.path = self.hub / "models--org--tiny-GGUF"
        self.env = environment(self.folder / "home", PRIMARY_CACHE_PATH=self.folder / "hf",
                               SECONDARY_CACHE_PATH=self.folder / "second", DATABASE_PATH=self.folder / "models.db",
                               HOMELAB_LLM_PORT="1", HF_ENDPOINT=hub.endpoint, HOMELAB_LLM_ENGINE=FAKE_ENGINE)
        self.run("register", "tiny", REPO)
        self.run("pull", REPO)

    def save(self):
        shutil.copytree(self.folder, self.template, symlinks=True)

    def restore(self):
        shutil.rmtree(self.folder)
        shutil.copytree(self.template, self.folder, symlinks=True)

    def run(self, *words, crash_at=None):
        return run_or_crash(*words, crash_at=crash_at, programs=PROGRAMS, env=self.env, folder=self.folder)

    def ref(self):
        return (self.path / "refs" / "main").read_text()

    def python_reads(self, commit) -> bytes:
        path = hf_hub_download(REPO, GGUF, revision=commit, cache_dir=self.hub, local_files_only=True)
        return Path(path).read_bytes()

    def scanner_is_content(self):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert [str(warning) for warning in scan_cache_dir(self.hub).warnings] == []


@pytest.fixture
def house(tmp_path):
    with FaultHub() as hub:
        yield House(tmp_path, hub)


def test_a_repair_never_loses_the_bad_content_before_the_good_one_is_there(house):
    blob = house.path / "blobs" / hashlib.sha256(OLD_CONTENT).hexdigest()
    bad = bytearray(OLD_CONTENT)
    bad[1000] ^= 1
    with open(blob, "r+b") as file:
        file.write(bad)
    house.save()
    words = ("cache", "verify", "--repair")
    for step in range(1, MOST_STEPS):
        house.restore()
        ended = house.run(*words, crash_at=step) is not None
        quarantine = house.hub / ".locks/.homelab-llm/quarantine"
        kept = [path.read_bytes() for path in quarantine.rglob("*") if path.is_file()]
        seen = blob.read_bytes() if blob.exists() else None
        assert seen in (None, bytes(bad), OLD_CONTENT), step
        assert seen == OLD_CONTENT or bytes(bad) in (seen, *kept), step
        if ended:
            break
        house.run(*words)
        assert blob.read_bytes() == OLD_CONTENT and house.python_reads(house.old) == OLD_CONTENT
        house.scanner_is_content()
    assert 5 < step < MOST_STEPS - 1, "each step of moving, fetching and removing was reached"


def test_an_update_and_its_way_back_are_whole_at_every_moment(house):
    house.repo.files = {**house.repo.files, GGUF: NEW_CONTENT}
    house.repo.commit = hashlib.sha1(b"second").hexdigest()
    contents = {house.old: OLD_CONTENT, house.repo.commit: NEW_CONTENT}
    house.save()
    for words, goal in ((("update", "tiny"), house.repo.commit), (("update", "tiny", "--rollback"), house.old)):
        for step in range(1, MOST_STEPS):
            house.restore()
            ended = house.run(*words, crash_at=step) is not None
            assert house.python_reads(house.ref()) == contents[house.ref()], (words, step)
            house.scanner_is_content()
            if ended:
                break
            if house.ref() != goal:  # what was not reached is reached by the same command
                house.run(*words)
            assert house.ref() == goal and house.python_reads(goal) == contents[goal]
            house.scanner_is_content()
            if words[-1] == "tiny":
                house.run(*words, "--rollback")
                assert house.ref() == house.old, "the way back is known after every crash"
        assert 2 < step < MOST_STEPS - 1
        assert house.ref() == goal
        shutil.rmtree(house.template)
        house.save()
