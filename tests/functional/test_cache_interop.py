"""One cache for our C++ code and the real huggingface_hub, offline, in both directions."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import cache_tools  # noqa: E402
from filelock import FileLock, Timeout  # noqa: E402
from huggingface_hub import _CACHED_NO_EXIST, hf_hub_download, scan_cache_dir, snapshot_download, try_to_load_from_cache  # noqa: E402, E501
from huggingface_hub import _tree_cache as tree_cache  # noqa: E402
from huggingface_hub.errors import IncompleteSnapshotError  # noqa: E402

REPO = "org/name"
FOLDER = "models--org--name"
COMMIT = "c0ffee" + "0" * 34
FILES = {
    "config.json": b"{}",
    "empty": b"",
    "sub/dir/with space é#%.txt": b"text",
    "model.gguf": bytes(range(256)) * 40,
}


def git_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def is_large(content):
    return len(content) >= 1000


def entries_of(files):
    """The listing that the Python client would store for these files."""
    entries = {}
    for name, content in files.items():
        sha256 = hashlib.sha256(content).hexdigest() if is_large(content) else None
        size = len(content) if sha256 else None
        entries[name] = tree_cache.TreeCacheEntry(len(content), git_id(content), sha256, size)
    return entries


@pytest.fixture
def hub(tmp_path):
    """A hub folder that our writer filled."""
    folder = tmp_path / "root" / "hub"
    cache_tools.write(folder, REPO, COMMIT, "main", cache_tools.make_source(tmp_path / "source", FILES))
    return folder


def python_cache(hub, files, commit=COMMIT, revision="main", with_tree=True):
    """The same repository as the Python client leaves it, made with its own code where it has some."""
    folder = hub / FOLDER
    for name, content in files.items():
        blob = folder / "blobs" / (hashlib.sha256(content).hexdigest() if is_large(content) else git_id(content))
        link = folder / "snapshots" / commit / name
        blob.parent.mkdir(parents=True, exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        blob.write_bytes(content)
        from huggingface_hub.file_download import _create_symlink

        _create_symlink(str(blob), str(link), new_blob=False)
    ref = folder / "refs" / revision
    ref.parent.mkdir(parents=True, exist_ok=True)
    ref.write_text(commit)
    if with_tree:
        tree_cache.write_tree_cache(str(folder), commit, entries_of(files))


def test_python_finds_what_we_wrote(hub):
    path = snapshot_download(REPO, cache_dir=hub, local_files_only=True)
    assert Path(path).name == COMMIT
    assert cache_tools.read_tree(path) == FILES
    assert hf_hub_download(REPO, "model.gguf", cache_dir=hub, local_files_only=True) == f"{path}/model.gguf"
    assert try_to_load_from_cache(REPO, "config.json", cache_dir=hub) == f"{path}/config.json"
    assert try_to_load_from_cache(REPO, "other.json", cache_dir=hub) is None


def test_pythons_scanner_sees_our_repository_without_warnings(hub):
    report = scan_cache_dir(hub)
    assert [str(warning) for warning in report.warnings] == []
    (repo,) = report.repos
    assert (repo.repo_id, repo.repo_type, repo.nb_files) == (REPO, "model", len(FILES))
    assert repo.size_on_disk == sum(len(content) for content in FILES.values())
    assert cache_tools.show(hub, REPO)["size_bytes"] == repo.size_on_disk
    (revision,) = repo.revisions
    assert (revision.commit_hash, revision.refs) == (COMMIT, {"main"})


def test_our_listing_is_the_same_text_as_pythons(hub, tmp_path):
    ours = (hub / FOLDER / "trees" / f"{COMMIT}.json").read_bytes()
    tree_cache.write_tree_cache(str(tmp_path / "theirs"), COMMIT, entries_of(FILES))
    assert ours == (tmp_path / "theirs" / "trees" / f"{COMMIT}.json").read_bytes()
    assert tree_cache.read_tree_cache(str(hub / FOLDER), COMMIT) == entries_of(FILES)


def test_python_refuses_a_snapshot_of_ours_when_a_listed_file_is_gone(hub):
    (hub / FOLDER / "snapshots" / COMMIT / "config.json").unlink()
    with pytest.raises(IncompleteSnapshotError):
        snapshot_download(REPO, cache_dir=hub, local_files_only=True)


def test_links_refs_and_modes_are_those_that_python_makes(hub, tmp_path):
    theirs = tmp_path / "theirs"
    python_cache(theirs, FILES)

    def shape(root):
        found = {}
        for path in sorted((root / FOLDER).rglob("*")):
            mode = oct(path.lstat().st_mode)
            # Python's listing is private to its user by accident (mkstemp); ours is readable, so only its name counts.
            content = os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
            found[path.relative_to(root).as_posix()] = (mode if path.parent.name != "trees" else None, content)
        return found

    assert shape(hub) == shape(theirs)


def test_the_cache_tag_is_pythons_own_text(hub, tmp_path):
    from huggingface_hub.file_download import _create_cachedir_tag  # the client's own writer

    (tmp_path / "tagged").mkdir()
    _create_cachedir_tag(tmp_path / "tagged")
    assert (hub / "CACHEDIR.TAG").read_bytes() == (tmp_path / "tagged" / "CACHEDIR.TAG").read_bytes()


@pytest.mark.parametrize("revision", ["main", "feat/nested", "refs/pr/1", "2f22765"])
def test_revisions_of_every_form_are_found_by_both(tmp_path, revision):
    source = cache_tools.make_source(tmp_path / "source", FILES)
    cache_tools.write(tmp_path / "ours", REPO, COMMIT, revision, source)
    assert Path(snapshot_download(REPO, revision=revision, cache_dir=tmp_path / "ours")).name == COMMIT
    python_cache(tmp_path / "theirs", FILES, revision=revision)
    assert cache_tools.show(tmp_path / "theirs", REPO, revision)["commit"] == COMMIT


def test_we_find_what_python_wrote(tmp_path):
    python_cache(tmp_path, FILES)
    seen = cache_tools.show(tmp_path, REPO)
    assert seen["commit"] == COMMIT
    assert seen["files"] == {name: len(content) for name, content in FILES.items()}
    assert (seen["bad_blobs"], seen["dangling"], seen["listed"]) == ([], 0, len(FILES))


def test_we_finish_a_snapshot_that_python_left_half_done_without_writing_its_files_again(tmp_path):
    some = {name: FILES[name] for name in ("config.json", "model.gguf")}
    python_cache(tmp_path / "hub", some, with_tree=False)
    blobs = tmp_path / "hub" / FOLDER / "blobs"
    before = {path.name: path.stat().st_ino for path in blobs.iterdir()}
    cache_tools.write(tmp_path / "hub", REPO, COMMIT, "main", cache_tools.make_source(tmp_path / "source", FILES))
    after = {path.name: path.stat().st_ino for path in blobs.iterdir()}
    assert before.items() <= after.items()
    assert cache_tools.read_tree(snapshot_download(REPO, cache_dir=tmp_path / "hub")) == FILES


def test_a_truncated_blob_that_python_trusts_is_replaced(tmp_path):
    python_cache(tmp_path / "hub", FILES)
    blob = tmp_path / "hub" / FOLDER / "blobs" / hashlib.sha256(FILES["model.gguf"]).hexdigest()
    blob.write_bytes(FILES["model.gguf"][:100])
    cache_tools.write(tmp_path / "hub", REPO, COMMIT, "main", cache_tools.make_source(tmp_path / "source", FILES))
    assert blob.read_bytes() == FILES["model.gguf"]


def test_files_of_the_shared_store_are_used_through_both_links(tmp_path):
    content = FILES["model.gguf"]
    hub = tmp_path / "hub"
    python_cache(hub, FILES)
    payload = hub / "blobs" / "ab" / ("ab" + "1" * 62)
    payload.parent.mkdir(parents=True)
    (hub / "blobs" / ".huggingface-shared-blobs").write_text("1\n")
    blob = hub / FOLDER / "blobs" / hashlib.sha256(content).hexdigest()
    blob.rename(payload)
    blob.symlink_to(f"../../blobs/ab/{payload.name}")
    assert cache_tools.show(hub, REPO)["files"]["model.gguf"] == len(content)
    cache_tools.write(hub, REPO, COMMIT, "main", cache_tools.make_source(tmp_path / "source", FILES))
    assert blob.is_symlink(), "a second copy of the payload would be on disk twice"


def test_writers_of_several_processes_and_python_readers_do_not_disturb_each_other(tmp_path):
    hub = tmp_path / "hub"
    commits = [f"{n}" * 40 for n in range(4)]
    sources = {
        commit: cache_tools.make_source(tmp_path / commit, {**FILES, "version": commit.encode()}) for commit in commits
    }
    arguments = [[cache_tools.PROBE, "write", hub, REPO, commit, "main", sources[commit]] for commit in commits * 2]
    writers = [subprocess.Popen(each, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for each in arguments]
    while any(writer.poll() is None for writer in writers):
        if (hub / FOLDER / "refs" / "main").exists():
            snapshot = snapshot_download(REPO, cache_dir=hub, local_files_only=True)
            assert cache_tools.read_tree(snapshot) == {**FILES, "version": Path(snapshot).name.encode()}
    for writer in writers:
        assert writer.communicate()[1] == b""
        assert writer.returncode == 0
    report = scan_cache_dir(hub)
    assert [str(warning) for warning in report.warnings] == []
    assert {revision.commit_hash for revision in next(iter(report.repos)).revisions} == set(commits)
    assert cache_tools.show(hub, REPO)["bad_blobs"] == []
    assert list(hub.rglob("*.part")) == []


def test_no_exist_markers_have_pythons_form(hub):
    marker = hub / FOLDER / ".no_exist" / COMMIT / "adapter_config.json"
    marker.parent.mkdir(parents=True)
    marker.touch()
    assert try_to_load_from_cache(REPO, "adapter_config.json", cache_dir=hub) is _CACHED_NO_EXIST


BLOB = "ab" * 32


def lock_file(hub):
    return hub / ".locks" / FOLDER / f"{BLOB}.lock"


def try_lock(hub):
    return cache_tools.run(cache_tools.PROBE, "try-lock", hub, REPO, BLOB).stdout.strip()


def test_a_lock_held_by_python_keeps_us_out(tmp_path):
    lock_file(tmp_path).parent.mkdir(parents=True)
    with FileLock(lock_file(tmp_path)):
        assert try_lock(tmp_path) == "busy"
    assert try_lock(tmp_path) == "free"


def test_a_lock_held_by_us_keeps_python_out_and_dies_with_us(tmp_path):
    holder = subprocess.Popen(
        [cache_tools.PROBE, "lock", tmp_path, REPO, BLOB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline().strip() == "locked"
        with pytest.raises(Timeout):
            FileLock(lock_file(tmp_path)).acquire(timeout=0.2)
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()
    with FileLock(lock_file(tmp_path), timeout=5):
        assert try_lock(tmp_path) == "busy"


def test_a_lock_file_that_an_old_client_unlinks_is_not_trusted(tmp_path):
    holder = subprocess.Popen(
        [cache_tools.PROBE, "lock", tmp_path, REPO, BLOB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline().strip() == "locked"
        lock_file(tmp_path).unlink()
        assert try_lock(tmp_path) == "free"
        assert lock_file(tmp_path).exists()
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()


def test_lock_files_can_be_taken_by_every_user_of_a_shared_cache(tmp_path):
    old = os.umask(0o077)
    try:
        assert try_lock(tmp_path) == "free"
    finally:
        os.umask(old)
    assert lock_file(tmp_path).stat().st_mode & 0o777 == 0o664


def test_the_listing_survives_json(hub):
    data = json.loads((hub / FOLDER / "trees" / f"{COMMIT}.json").read_text())
    assert data["format_version"] == 1
    assert list(data["files"]) == sorted(FILES)
