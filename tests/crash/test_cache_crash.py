"""Kills the writer before every single change to the disk and looks at the cache with C++ and with Python.

Whatever the moment: no blob with a wrong hash, no link to a missing blob, a ref only to a complete snapshot, the older
revision untouched; and the next run finishes the work.
"""

import os
import random
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import cache_tools  # noqa: E402
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402
from huggingface_hub.errors import LocalEntryNotFoundError  # noqa: E402

REPO = "org/name"
OLD = "a" * 40
NEW = "b" * 40
RANDOM = random.Random(3)

OLD_FILES = {"config.json": b'{"v": 1}', "model.gguf": RANDOM.randbytes(2500)}
NEW_FILES = {
    "config.json": b'{"v": 2}',
    "empty": b"",
    "model.gguf": RANDOM.randbytes(3500),
    "sub/dir/tokenizer.json": b"tokens",
    "sub/shared.gguf": OLD_FILES["model.gguf"],
}


def check_invariants(hub, allowed):
    """`allowed`: the commits that main may show, with their files; None means "no ref yet"."""
    seen = cache_tools.show(hub, REPO)
    assert seen["bad_blobs"] == []
    assert seen["commit"] in allowed
    folder = hub / "models--org--name"
    for link in folder.glob("snapshots/**/*"):
        assert not link.is_symlink() or link.exists(), f"dangling {link}"
    if seen["commit"] is None:
        with pytest.raises(LocalEntryNotFoundError):
            snapshot_download(REPO, cache_dir=hub, local_files_only=True)
        return seen["commit"]
    files = allowed[seen["commit"]]
    assert seen["files"] == {name: len(content) for name, content in files.items()}
    assert seen["dangling"] == 0
    assert seen["listed"] == len(files)
    path = snapshot_download(REPO, cache_dir=hub, local_files_only=True)
    assert Path(path).name == seen["commit"]
    assert cache_tools.read_tree(path) == files
    report = scan_cache_dir(hub)
    assert [str(warning) for warning in report.warnings] == []
    assert [repo.repo_id for repo in report.repos] == [REPO]
    return seen["commit"]


def crash_everywhere(tmp_path, prepare, allowed_before, files):
    """Yields after every crash point until the writer gets through; returns how many points there were."""
    source = cache_tools.make_source(tmp_path / "source", files)
    allowed = {**allowed_before, NEW: files}
    shown = set()
    for step in range(1, 1000):
        hub = tmp_path / f"hub{step}"
        prepare(hub)
        ended = cache_tools.write(hub, REPO, NEW, "main", source, crash_at=step) is not None
        if (hub / "models--org--name").exists():
            shown.add(check_invariants(hub, allowed))
        if ended:
            return step - 1, shown
        cache_tools.write(hub, REPO, NEW, "main", source)
        assert check_invariants(hub, {NEW: files}) == NEW
        assert list(hub.rglob("*.part")) == [], "a finished download leaves nothing private behind"
        assert list(hub.rglob("*.link")) == []
    raise AssertionError("the writer never ended")


def test_a_first_download_is_invisible_until_it_is_complete(tmp_path):
    steps, shown = crash_everywhere(tmp_path, lambda hub: None, {None: None}, NEW_FILES)
    assert steps >= 25
    assert shown == {None, NEW}


def test_an_update_leaves_the_old_revision_until_the_new_one_is_complete(tmp_path):
    old_source = cache_tools.make_source(tmp_path / "old", OLD_FILES)

    def prepare(hub):
        cache_tools.write(hub, REPO, OLD, "main", old_source)

    steps, shown = crash_everywhere(tmp_path, prepare, {OLD: OLD_FILES}, NEW_FILES)
    assert steps >= 20
    assert shown == {OLD, NEW}


def test_repairing_a_dangling_snapshot_never_shows_anything_temporary(tmp_path):
    old_source = cache_tools.make_source(tmp_path / "old", OLD_FILES)
    source = cache_tools.make_source(tmp_path / "source", OLD_FILES)
    names = set(OLD_FILES)
    for step in range(1, 1000):
        hub = tmp_path / f"hub{step}"
        cache_tools.write(hub, REPO, OLD, "main", old_source)
        snapshot = hub / "models--org--name" / "snapshots" / OLD
        for name in names:
            (snapshot / name).unlink()
            (snapshot / name).symlink_to("../../blobs/missing")
        ended = cache_tools.write(hub, REPO, OLD, "main", source, crash_at=step) is not None
        assert {entry.name for entry in snapshot.iterdir()} == names
        if ended:
            assert step > 3
            break
    check_invariants(hub, {OLD: OLD_FILES})


def test_a_killed_download_continues_with_the_bytes_it_had(tmp_path):
    content = RANDOM.randbytes(10_000)
    source = cache_tools.make_source(tmp_path / "source", {"model.gguf": content})
    best = 0
    for step in range(1, 1000):
        hub = tmp_path / f"hub{step}"
        ended = cache_tools.write(hub, REPO, NEW, "main", source, crash_at=step) is not None
        if ended:
            break
        parts = list(hub.rglob("*.homelab.part"))
        written = parts[0].stat().st_size if parts and len(parts[0].name) > 64 else None
        again = cache_tools.write(hub, REPO, NEW, "main", source)
        if written is not None:
            assert again.splitlines()[0] == f"resumed model.gguf {written}"
            best = max(best, written)
        assert check_invariants(hub, {NEW: {"model.gguf": content}}) == NEW
    assert best == len(content)


def test_sharing_equal_blobs_shows_the_old_or_the_new_file_at_every_moment(tmp_path):
    content = RANDOM.randbytes(50_000)
    sources = {name: cache_tools.make_source(tmp_path / name, {"model.gguf": content, "name": name.encode()})
               for name in ("one", "two", "three")}
    for step in range(1, 1000):
        hub = tmp_path / f"hub{step}"
        for name, source in sources.items():
            cache_tools.write(hub, f"org/{name}", NEW, "main", source)
        ended = cache_tools.run_or_crash("dedup", hub, crash_at=step) is not None
        for name in sources:
            path = snapshot_download(f"org/{name}", cache_dir=hub, local_files_only=True)
            assert cache_tools.read_tree(path) == {"model.gguf": content, "name": name.encode()}
            assert cache_tools.show(hub, f"org/{name}")["bad_blobs"] == []
        assert [str(warning) for warning in scan_cache_dir(hub).warnings] == []
        cache_tools.run_or_crash("dedup", hub)
        assert cache_tools.run_or_crash("dedup", hub) == '{"shared":0,"skipped":0}\n', "the second run finished the work"
        if ended:
            assert step > 6
            return
    raise AssertionError("it never ended")
