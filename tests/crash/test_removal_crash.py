"""Kills removal, undo and move before every single change to the disk, and looks with C++ and with Python.

Whatever the moment: no link to a missing blob, no ref without its snapshot, what was not meant stays whole; the next
run finishes, and what was removed comes back byte for byte.
"""

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import cache_tools  # noqa: E402
from cache_tools import run_or_crash  # noqa: E402
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402

REPO, FOLDER = "org/name", "models--org--name"
OLD, NEW = "a" * 40, "b" * 40
RANDOM = random.Random(5)
SHARED = RANDOM.randbytes(1500)
FILES = {
    OLD: {"config.json": b"{}", "model.gguf": RANDOM.randbytes(2500), "sub/shared.gguf": SHARED},
    NEW: {"config.json": b'{"v": 2}', "model.gguf": RANDOM.randbytes(3500), "sub/dir/shared.gguf": SHARED},
}


def fill(hub, tmp_path):
    for commit, ref in ((OLD, "v1"), (NEW, "main")):
        source = cache_tools.make_source(tmp_path / f"source-{ref}", FILES[commit])
        cache_tools.write(hub, REPO, commit, ref, source)
    return hub


def state(hub):
    """Every file and link outside .locks."""
    out = {}
    for path in sorted(hub.rglob("*")):
        name = path.relative_to(hub).as_posix()
        if not name.startswith(".locks") and (path.is_symlink() or path.is_file()):
            out[name] = os.readlink(path) if path.is_symlink() else path.read_bytes()
    return out


def check(hub):
    """{commit: refs} that are visible; every one of them is whole."""
    if not hub.exists():
        return {}
    for link in hub.glob("models--*/snapshots/**/*"):
        assert not link.is_symlink() or link.exists(), f"dangling {link}"
    report = scan_cache_dir(hub)
    assert [str(warning) for warning in report.warnings] == []
    found = {}
    for repo in report.repos:
        for revision in repo.revisions:
            path = snapshot_download(REPO, revision=revision.commit_hash, cache_dir=hub, local_files_only=True)
            assert cache_tools.read_tree(path) == FILES[revision.commit_hash]
            found[revision.commit_hash] = set(revision.refs)
    return found


def crash_everywhere(tmp_path, words, finish):
    """Runs `words` from the same start with a crash at every step; `finish(hub, seen)` judges after the second run."""
    steps = 0
    template = fill(tmp_path / "template", tmp_path)
    for step in range(1, 1000):
        hub = tmp_path / f"hub{step}"
        shutil.copytree(template, hub, symlinks=True)
        ended = run_or_crash(*[str(word).replace("HUB", str(hub)) for word in words], crash_at=step) is not None
        seen = check(hub)
        finish(hub, seen, ended)
        shutil.rmtree(hub)
        if ended:
            return steps
        steps += 1
    raise AssertionError("it never ended")


def test_a_removed_revision_is_whole_or_gone_and_undo_is_exact(tmp_path):
    before = state(fill(tmp_path / "reference", tmp_path))
    states = set()

    def finish(hub, seen, ended):
        states.add(tuple(sorted(seen)))
        assert seen[NEW] == {"main"}
        if OLD in seen:
            run_or_crash("remove", hub, f"{REPO}@{OLD}", "trash")
        assert check(hub) == {NEW: {"main"}}
        left = state(hub)
        # What an earlier run took comes back after what the second took.
        while "restored" in run_or_crash("undo", hub):
            pass
        assert state(hub) == before
        assert set(left) < set(before)

    assert crash_everywhere(tmp_path, ["remove", "HUB", f"{REPO}@{OLD}", "trash"], finish) >= 10
    assert states == {(OLD, NEW), (NEW,)}


def test_a_removed_repository_leaves_nothing_after_the_second_run(tmp_path):
    def finish(hub, seen, ended):
        if (hub / FOLDER).exists():
            run_or_crash("remove", hub, REPO, "now")
        assert not (hub / FOLDER).exists()
        assert check(hub) == {}

    assert crash_everywhere(tmp_path, ["remove", "HUB", REPO, "now"], finish) >= 15


def test_an_interrupted_undo_shows_only_whole_revisions_and_is_continued(tmp_path):
    before = state(fill(tmp_path / "reference", tmp_path))
    for step in range(1, 1000):
        hub = fill(tmp_path / f"hub{step}", tmp_path)
        run_or_crash("remove", hub, REPO, "trash")
        assert check(hub) == {}
        ended = run_or_crash("undo", hub, crash_at=step) is not None
        for link in hub.glob("models--*/snapshots/**/*"):
            assert not link.is_symlink() or link.exists(), f"dangling {link}"
        for ref in (hub / FOLDER / "refs").glob("*"):
            assert (hub / FOLDER / "snapshots" / ref.read_text()).is_dir(), "a ref is the last to come back"
        run_or_crash("undo", hub)
        assert state(hub) == before
        if ended:
            assert step > 10
            return
    raise AssertionError("it never ended")


def whole(hub):
    return check(hub) == {OLD: {"v1"}, NEW: {"main"}}


def move_everywhere(tmp_path, prepare):
    """At every moment one side is whole; the second run leaves all of it at the target only."""
    for step in range(1, 1000):
        hub = fill(tmp_path / f"hub{step}", tmp_path)
        target = tmp_path / f"target{step}"
        prepare(target)
        ended = run_or_crash("move", hub, target, FOLDER, crash_at=step) is not None
        assert whole(hub) or whole(target)
        check(hub)
        run_or_crash("move", hub, target, FOLDER)
        assert whole(target) and not (hub / FOLDER).exists()
        if ended:
            return step - 1
    raise AssertionError("it never ended")


def test_a_move_by_renaming_is_one_step(tmp_path):
    assert move_everywhere(tmp_path, lambda target: None) >= 2


def test_a_move_into_a_folder_that_is_there_has_one_whole_side_at_every_moment(tmp_path):
    source = cache_tools.make_source(tmp_path / "source-there", FILES[OLD])

    def prepare(target):
        cache_tools.write(target, REPO, OLD, "v1", source)

    assert move_everywhere(tmp_path, prepare) >= 20


def test_a_copy_to_another_file_system_has_one_whole_side_at_every_moment(tmp_path):
    other = Path("/dev/shm")
    assert os.stat(other).st_dev != os.stat(tmp_path).st_dev, "the test needs a second file system"
    place = Path(subprocess.run(["mktemp", "-d", "-p", other], check=True, capture_output=True,
                                text=True).stdout.strip())
    try:
        for step in range(1, 1000):
            hub, target = fill(tmp_path / f"hub{step}", tmp_path), place / f"target{step}"
            ended = run_or_crash("move", hub, target, FOLDER, crash_at=step) is not None
            assert whole(hub) or whole(target)
            run_or_crash("move", hub, target, FOLDER)
            assert whole(target) and not (hub / FOLDER).exists()
            assert list(target.rglob("*.part")) == []
            shutil.rmtree(target)
            if ended:
                assert step > 30
                return
        raise AssertionError("it never ended")
    finally:
        shutil.rmtree(place)


def test_a_damaged_blob_stops_the_copy_and_the_source_stays(tmp_path):
    hub = fill(tmp_path / "hub", tmp_path)
    place = Path(subprocess.run(["mktemp", "-d", "-p", "/dev/shm"], check=True, capture_output=True,
                                text=True).stdout.strip())
    try:
        blob = (hub / FOLDER / "snapshots" / NEW / "model.gguf").resolve()
        blob.write_bytes(blob.read_bytes()[:-1] + b"?")
        before = state(hub)
        done = cache_tools.run(cache_tools.PROBE, "move", hub, place, FOLDER, check=False)
        assert done.returncode == 1 and "damaged" in done.stderr
        assert state(hub) == before
        assert cache_tools.show(place, REPO)["commit"] is None
    finally:
        shutil.rmtree(place)
