"""Kills `export`, `import` and the part of `gc` that works beside the repositories before every single change to the disk.

Whatever the moment: the archive appears whole or not at all, nothing of an import is visible before all of it is right,
and the next run finishes and writes only what was missing.
"""

import json
import os
import random
import shutil
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import cache_tools  # noqa: E402
from cache_tools import run_or_crash  # noqa: E402
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402

REPO = "org/name"
FOLDER = "models--org--name"
OLD = "a" * 40
NEW = "b" * 40
RANDOM = random.Random(7)
SHARED = {"config.json": b'{"v": 1}', "sub/model.gguf": RANDOM.randbytes(400_000), "empty": b""}
NEW_FILES = {**SHARED, "new.gguf": RANDOM.randbytes(2500)}


def make_hub(folder):
    for commit, ref, files in ((OLD, "v1", SHARED), (NEW, "main", NEW_FILES)):
        cache_tools.write(folder / "hub", REPO, commit, ref, cache_tools.make_source(folder / commit, files))
    return folder / "hub"


def reads(hub, revision, files):
    path = snapshot_download(REPO, revision=revision, cache_dir=hub, local_files_only=True)
    assert cache_tools.read_tree(path) == files


def test_an_export_that_is_killed_leaves_no_half_file_and_the_next_run_writes_the_whole(tmp_path):
    hub = make_hub(tmp_path)
    run_or_crash("export", hub, REPO, tmp_path / "right.tar")
    right = (tmp_path / "right.tar").read_bytes()
    for step in range(1, 1000):
        folder = tmp_path / f"out{step}"
        folder.mkdir()
        finished = run_or_crash("export", hub, REPO, folder / "name.tar", crash_at=step) is not None
        if (folder / "name.tar").exists():
            assert (folder / "name.tar").read_bytes() == right
        run_or_crash("export", hub, REPO, folder / "name.tar")
        assert (folder / "name.tar").read_bytes() == right
        assert [path.name for path in folder.iterdir()] == ["name.tar"]
        shutil.rmtree(folder)
        if finished:
            assert step > 4
            return
    raise AssertionError("the export never ended")


def test_an_import_that_is_killed_shows_nothing_wrong_and_is_finished_by_the_next_run(tmp_path):
    tar = tmp_path / "name.tar"
    run_or_crash("export", make_hub(tmp_path), REPO, tar)
    resumed = present = 0
    for step in range(1, 1000):
        hub = tmp_path / f"hub{step}"
        finished = run_or_crash("import", hub, tar, crash_at=step) is not None
        if (hub / FOLDER).exists():
            assert cache_tools.show(hub, REPO)["bad_blobs"] == []
        for link in hub.rglob("*"):
            assert link.exists(), f"{link} dangles"
        for ref, files in (("v1", SHARED), ("main", NEW_FILES)):
            if (hub / FOLDER / "refs" / ref).exists():
                reads(hub, ref, files)
        again = json.loads(run_or_crash("import", hub, tar))
        assert again["present"] + again["resumed"] + again["written"] == again["content"]
        resumed = max(resumed, again["resumed"])
        present = max(present, again["present"])
        reads(hub, "v1", SHARED)
        reads(hub, "main", NEW_FILES)
        assert [str(warning) for warning in scan_cache_dir(hub).warnings] == []
        assert not [path for path in hub.rglob("*") if path.name.endswith((".part", ".tmp"))]
        shutil.rmtree(hub)
        if finished:
            assert step > 15
            assert present == again["content"] and resumed > 0
            return
    raise AssertionError("the import never ended")


def test_a_gc_beside_the_repositories_that_is_killed_is_finished_by_the_next_run(tmp_path):
    model = make_hub(tmp_path)
    shelf = model / "blobs" / "cd"
    shelf.mkdir(parents=True)
    (shelf.parent / ".huggingface-shared-blobs").write_text("1\n")
    (shelf / ("cd" * 32)).write_bytes(b"payload")
    (shelf / ("cd" * 32 + ".refs")).write_text("")
    (model / "tmpabc_1234").mkdir()
    (model / "tmpabc_1234" / "dummy_file_src").touch()
    cell = model / ".locks" / ".homelab-llm" / "quarantine" / FOLDER
    cell.mkdir(parents=True)
    (cell / ("e" * 64 + ".0123abcd")).write_bytes(b"damaged")
    for step in range(1, 100):
        hub = tmp_path / f"hub{step}"
        shutil.copytree(model, hub, symlinks=True)
        finished = run_or_crash("gc", hub, crash_at=step) is not None
        reads(hub, "v1", SHARED)
        reads(hub, "main", NEW_FILES)
        run_or_crash("gc", hub)
        assert [path.name for path in (hub / "blobs" / "cd").iterdir()] == ["cd" * 32 + ".lock"]
        assert not (hub / "tmpabc_1234").exists() and not list((hub / cell.relative_to(model)).iterdir())
        reads(hub, "main", NEW_FILES)
        assert [str(warning) for warning in scan_cache_dir(hub).warnings] == []
        shutil.rmtree(hub)
        if finished:
            assert step > 5
            return
    raise AssertionError("the clean-up never ended")
