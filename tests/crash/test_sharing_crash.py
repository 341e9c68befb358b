"""Kills `bridge` and `adopt` before every single change to the disk.

Whatever the moment: what a reader found before it finds afterwards, nothing dangles, no content is lost; and the next run
finishes the work.
"""

import hashlib
import os
import random
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import cache_tools  # noqa: E402
import pytest  # noqa: E402
from cache_tools import run_or_crash  # noqa: E402
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402

REPO = "org/name"
FOLDER = "models--org--name"
OLD = "a" * 40
NEW = "b" * 40
RANDOM = random.Random(5)
SHARED = {"config.json": b'{"v": 1}', "sub/model.gguf": RANDOM.randbytes(3000), "empty": b""}
OLD_FILES = {**SHARED, "old.gguf": RANDOM.randbytes(2000)}
NEW_FILES = {**SHARED, "new.gguf": RANDOM.randbytes(2500), "config.json": b'{"v": 2}'}
XET = "cd" * 32


def reads(hub, commit, files):
    path = snapshot_download(REPO, revision=commit, cache_dir=hub, local_files_only=True)
    assert cache_tools.read_tree(path) == files


def publish(root):
    """One file of ROOT's copy goes into a shared store at ROOT/blobs, as Python keeps one."""
    content = OLD_FILES["old.gguf"]
    store = root / "blobs"
    (store / XET[:2]).mkdir(parents=True)
    (store / ".huggingface-shared-blobs").write_text("1\n")
    name = hashlib.sha256(content).hexdigest()
    blob = root / FOLDER / "blobs" / name
    (store / XET[:2] / f"{XET}.refs").write_text(f"{FOLDER}/blobs/{name}\n")
    blob.rename(store / XET[:2] / XET)
    blob.symlink_to(f"../../blobs/{XET[:2]}/{XET}")


@pytest.mark.parametrize("in_root, in_hub, store", [
    ((OLD, OLD_FILES), None, False), ((OLD, OLD_FILES), (OLD, OLD_FILES), False),
    ((OLD, OLD_FILES), (NEW, NEW_FILES), False), ((OLD, OLD_FILES), None, True),
    ((OLD, OLD_FILES), (NEW, NEW_FILES), True)])
def test_a_bridge_that_is_killed_loses_nothing_and_is_finished_by_the_next_run(tmp_path, in_root, in_hub, store):
    model = tmp_path / "model"
    for hub, wanted in ((model, in_root), (model / "hub", in_hub)):
        if wanted:
            source = cache_tools.make_source(tmp_path / wanted[0], wanted[1])
            cache_tools.write(hub, REPO, wanted[0], "main", source)
    if store:
        publish(model)
    for step in range(1, 1000):
        root = tmp_path / f"root{step}"
        shutil.copytree(model, root, symlinks=True)
        finished = run_or_crash("bridge", root, crash_at=step) is not None
        reads(root, *in_root)
        if in_hub:
            reads(root / "hub", *in_hub)
        run_or_crash("bridge", root)
        for hub in (root, root / "hub"):
            for wanted in filter(None, (in_root, in_hub)):
                reads(hub, *wanted)
        assert os.readlink(root / FOLDER) == f"hub/{FOLDER}"
        assert [str(warning) for warning in scan_cache_dir(root / "hub").warnings] == []
        assert list((root / "hub" / ".locks" / ".homelab-llm" / "bridge").iterdir()) == []
        names = [path.name for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
        for blob in (root / "hub" / FOLDER / "blobs").iterdir():
            assert names.count(blob.name) <= 1, "one copy"
        shutil.rmtree(root)
        if finished:
            assert step > 8
            return
    raise AssertionError("the bridge never ended")


@pytest.mark.parametrize("way", ["link", "move"])
def test_an_adoption_that_is_killed_loses_nothing_and_is_finished_by_the_next_run(tmp_path, way):
    model = cache_tools.make_source(tmp_path / "model", {"a.gguf": b"GGUF" + RANDOM.randbytes(3000),
                                                         "b.gguf": b"GGUF" + RANDOM.randbytes(2000), "c.json": b"{}"})
    files = cache_tools.read_tree(model)
    for step in range(1, 1000):
        source = tmp_path / f"source{step}"
        hub = tmp_path / f"hub{step}"
        shutil.copytree(model, source)
        finished = run_or_crash("adopt", hub, REPO, source, way, crash_at=step) is not None
        # Every file is where it was, or a blob under its own name.
        for name, content in files.items():
            blob = hub / FOLDER / "blobs" / (hashlib.sha256(content).hexdigest() if name.endswith("gguf") else
                                             hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest())
            place = source / name
            assert (place if place.exists() else blob).read_bytes() == content
        if (hub / FOLDER).exists():
            assert cache_tools.show(hub, REPO)["bad_blobs"] == []
            for link in hub.rglob("*"):
                assert link.exists(), f"{link} dangles"
        if list(source.iterdir()):
            assert list(source.glob("*.gguf")), "the rest is no longer known as a model"
            run_or_crash("adopt", hub, REPO, source, way)
            assert way == "link" or not list(source.iterdir())
        path = snapshot_download(REPO, cache_dir=hub, local_files_only=True)
        assert cache_tools.read_tree(path) == files
        assert [str(warning) for warning in scan_cache_dir(hub).warnings] == []
        if finished:
            assert step > 8
            return
    raise AssertionError("the adoption never ended")
