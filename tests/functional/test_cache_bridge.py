"""cache bridge: scripts with cache_dir=ROOT and scripts with HF_HOME=ROOT share one copy. The real client is the judge."""

import json
import os
import pathlib

import httpx
import pytest
from downloads import REPO, model_files, python_client
from filelock import FileLock
from running import PROGRAM, Server, command, environment

FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))
FOLDER = "models--org--model"
SNAPSHOT = f"import huggingface_hub as h\nprint(json.dumps(h.snapshot_download({REPO!r}, %s)))"


class Root:
    """A cache root, used by scripts in both ways."""

    def __init__(self, folder, hub):
        self.folder = folder
        self.path = folder / "hf"
        self.hub = hub
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.path, SECONDARY_CACHE_PATH=folder / "second",
                               HF_ENDPOINT=hub.endpoint, HOMELAB_LLM_ENGINE=FAKE_ENGINE,
                               DATABASE_PATH=folder / "models.db")
        self.path.mkdir()

    def by_cache_dir(self, repo=REPO, **settings):
        """What a script with cache_dir=ROOT gets; offline unless told otherwise."""
        return self._python(SNAPSHOT.replace(REPO, repo) % "cache_dir=folder", HF_HOME=str(self.folder / "else"), **settings)

    def by_home(self, repo=REPO, **settings):
        """What a script with HF_HOME=ROOT gets."""
        return self._python(SNAPSHOT.replace(REPO, repo) % "", HF_HOME=str(self.path), **settings)

    def _python(self, code, online=False, **settings):
        if online:
            settings.update(HF_HUB_OFFLINE="0", HF_ENDPOINT=self.hub.endpoint)
        return pathlib.Path(python_client(self.path, code, **settings))

    def bridge(self, *flags, code=0):
        done = command(self.env, self.folder, "cache", "bridge", "--json", *flags)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def content_bytes(self):
        """Of all files below the root, each inode once."""
        found = {}
        for path in self.path.rglob("*"):
            if path.is_file() and not path.is_symlink():
                found[path.stat().st_ino] = path.stat().st_size
        return sum(found.values())

    def scan(self, folder):
        return python_client(folder, """
import huggingface_hub as h
info = h.scan_cache_dir(folder)
print(json.dumps({"warnings": [str(w) for w in info.warnings], "repos": [r.repo_id for r in info.repos],
                  "size": info.size_on_disk}))""")

    def check_shared(self, repo):
        """Both ways find the whole model offline, in one copy, and nothing dangles."""
        for path in (self.by_cache_dir(repo.id), self.by_home(repo.id)):
            for name, content in repo.files.items():
                assert (path / name).read_bytes() == content
        assert (self.path / "hub" / FOLDER).is_dir() and not (self.path / "hub" / FOLDER).is_symlink()
        assert os.readlink(self.path / FOLDER) == f"hub/{FOLDER}"
        assert os.readlink(self.path / ".locks") == "hub/.locks"
        scan = self.scan(self.path / "hub")
        assert scan["warnings"] == []
        for path in self.path.rglob("*"):
            assert path.exists() or path.name == "blobs" or ".locks" in path.parts, f"{path} dangles"


@pytest.fixture
def repo(fault_hub):
    return fault_hub.add(REPO, model_files())


@pytest.fixture
def root(tmp_path, fault_hub, repo):
    return Root(tmp_path, fault_hub)


def size_of(repo):
    return sum(map(len, {repo.blob_name(path): content for path, content in repo.files.items()}.values()))


def test_a_model_stored_twice_becomes_one(root, repo):
    root.by_cache_dir(online=True)
    root.by_home(online=True)
    before = root.content_bytes()
    planned = root.bridge("--dry-run")
    assert root.content_bytes() == before and not (root.path / FOLDER).is_symlink()
    report = root.bridge()
    assert [(row["folder"], row["action"]) for row in report["repos"]] == [(FOLDER, "merged")]
    assert report["saved_bytes"] == planned["saved_bytes"] >= size_of(repo)
    assert before - root.content_bytes() >= size_of(repo)
    root.check_shared(repo)


@pytest.mark.parametrize("first", ["by_cache_dir", "by_home"])
def test_a_model_on_one_side_is_found_by_the_other(root, repo, first):
    getattr(root, first)(online=True)
    before = root.content_bytes()
    report = root.bridge()
    assert report["saved_bytes"] == 0
    assert [row["action"] for row in report["repos"]] == ["moved" if first == "by_cache_dir" else "linked"]
    assert root.content_bytes() == before
    root.check_shared(repo)


@pytest.mark.parametrize("first, second", [("by_cache_dir", "by_home"), ("by_home", "by_cache_dir")])
def test_after_the_bridge_a_new_revision_is_fetched_once_by_whoever_comes_first(root, repo, first, second):
    root.by_home(online=True)
    root.bridge()
    repo.commit = "ab" * 20
    repo.files = {**repo.files, "model-00001-of-00002.safetensors": b"new" * 100_000}
    root.hub.clear_log()
    getattr(root, first)(online=True)
    assert len(root.hub.gets("model-00001-of-00002.safetensors")) == 1
    root.hub.clear_log()
    getattr(root, second)(online=True)
    assert root.hub.gets() == []
    root.check_shared(repo)


def test_running_it_again_changes_nothing_and_takes_in_what_is_new(root, repo):
    root.by_cache_dir(online=True)
    root.bridge()
    again = root.bridge()
    assert [row["action"] for row in again["repos"]] == ["already"]
    other = root.hub.add("org/other", {"config.json": b"{}", "a.safetensors": b"x" * 5000})
    root.by_cache_dir("org/other", online=True)
    later = root.bridge()
    assert {row["folder"]: row["action"] for row in later["repos"]} == {FOLDER: "already",
                                                                        "models--org--other": "moved"}
    for name, content in other.files.items():
        assert (root.by_home("org/other") / name).read_bytes() == content


def test_what_each_side_had_alone_is_kept(root, repo):
    old, old_files = repo.commit, dict(repo.files)
    root.by_cache_dir(online=True)
    repo.commit = "cd" * 20
    repo.files = {**repo.files, "config.json": b'{"model_type": "new"}'}
    root.by_home(online=True)
    report = root.bridge()
    assert any("stays at" in remark for row in report["repos"] for remark in row["remarks"])
    root.check_shared(repo)
    for name, content in old_files.items():
        assert (root.path / "hub" / FOLDER / "snapshots" / old / name).read_bytes() == content


def test_the_damaged_copy_goes_and_the_right_one_stays(root, repo):
    root.by_cache_dir(online=True)
    root.by_home(online=True)
    blob = root.path / "hub" / FOLDER / "blobs" / repo.blob_name("model-00001-of-00002.safetensors")
    content = bytearray(blob.read_bytes())
    content[1000] ^= 1
    blob.write_bytes(content)
    root.bridge()
    root.check_shared(repo)


def test_a_running_download_is_left_alone(root, repo):
    root.by_cache_dir(online=True)
    lock = next((root.path / ".locks" / FOLDER).glob("*.lock"))
    with FileLock(lock):
        report = root.bridge(code=1)
        assert [row["action"] for row in report["repos"]] == ["left"]
        assert not (root.path / FOLDER).is_symlink() and not (root.path / ".locks").is_symlink()
    root.bridge()
    root.check_shared(repo)


def test_undo_takes_only_the_links_away(root, repo):
    root.by_cache_dir(online=True)
    root.bridge()
    root.bridge("--undo")
    assert not [path for path in root.path.iterdir() if path.is_symlink()]
    assert (root.by_home() / "config.json").read_bytes() == repo.files["config.json"]


def test_python_keeps_no_shared_store_that_links_in_hub_cannot_reach(root, repo):
    """With a store at ROOT/blobs a bridged blob would become a link that leads to nothing."""
    root.by_cache_dir(online=True)
    root.bridge()
    asked = python_client(root.path, """
from huggingface_hub.utils import _shared_blobs as s
print(json.dumps([s._ensure_shared_blobs_dir(folder), s._ensure_shared_blobs_dir(folder + "/hub")]))""")
    assert asked == [False, True]


def test_a_shared_store_goes_along(root, repo):
    """The payload that Python published below ROOT is reached from hub/ afterwards."""
    root.by_cache_dir(online=True)
    name = "model-00001-of-00002.safetensors"
    python_client(root.path, f"""
from pathlib import Path
from huggingface_hub.utils import _shared_blobs as s
blob = Path(folder) / {FOLDER!r} / "blobs" / {repo.blob_name(name)!r}
xet = "ab" * 32
assert s._ensure_prefix_dir(folder, xet)
store = s.shared_blob_path(folder, xet)
s._append_manifest_reference(s.shared_blob_manifest_path(folder, xet), f"{FOLDER}/blobs/{{blob.name}}")
blob.rename(store)
s._make_temporary_symlink(blob, store).rename(blob)
assert blob.is_symlink() and blob.exists()
print(json.dumps(None))""")
    before = root.content_bytes()
    root.bridge()
    root.check_shared(repo)
    assert abs(root.content_bytes() - before) < 1000
    assert os.readlink(root.path / "blobs") == "hub/blobs"
    manifest = root.path / "hub" / "blobs" / "ab" / ("ab" * 32 + ".refs")
    assert f"{FOLDER}/blobs/{repo.blob_name(name)}\n" in manifest.read_text()


def test_what_belongs_to_no_cache_is_refused_by_name_and_kept(root, repo):
    root.by_cache_dir(online=True)
    root.by_home(online=True)
    secret = root.folder / "secret"
    secret.write_text("not ours")
    (root.path / FOLDER / "notes.txt").write_text("mine")
    report = root.bridge(code=1)
    assert [row["action"] for row in report["repos"]] == ["left"]
    assert "notes.txt" in report["repos"][0]["remarks"][0]
    (root.path / FOLDER / "notes.txt").unlink()
    planted = root.path / FOLDER / "snapshots" / repo.commit / "planted.json"
    planted.symlink_to(secret)
    report = root.bridge(code=1)
    assert "leads out" in report["repos"][0]["remarks"][0]
    assert secret.read_text() == "not ours"
    planted.unlink()
    root.bridge()
    root.check_shared(repo)


def test_scanning_the_root_names_what_is_no_repository(root, repo):
    """Documented in docs/cli.md: the root is no hub folder, so Python's scanner of the root warns about hub/."""
    root.by_cache_dir(online=True)
    root.bridge()
    scan = root.scan(root.path)
    assert scan["repos"] == [REPO]
    assert all("hub" in warning or "blobs" in warning for warning in scan["warnings"])


def test_what_is_removed_and_put_back_is_seen_from_both_sides(root, repo):
    root.by_home(online=True)
    root.bridge()
    for words in (("rm", REPO, "--yes"), ("undo",), ("rm", REPO, "--yes")):
        done = command(root.env, root.folder, "cache", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert (root.path / FOLDER).is_symlink() == (root.path / "hub" / FOLDER).exists() == (words[0] == "undo")
    root.by_cache_dir(online=True)
    root.bridge()
    root.check_shared(repo)


def test_what_a_server_downloads_later_is_seen_from_both_sides(root, repo, fault_hub):
    root.by_home(online=True)
    root.bridge()
    fault_hub.add("org/later", {"later.Q4_1.gguf": b"GGUF" + bytes(60), "README.md": b"# Later"})
    server = Server(root.folder, root.env)
    try:
        url = f"http://127.0.0.1:{server.port}/api"
        made = httpx.post(f"{url}/models", json={"model_name": "later", "hf_path": "org/later"}, trust_env=False)
        assert made.status_code == 201, made.text
        loaded = httpx.post(f"{url}/orchestrate/load", json={"model_name": "later"}, trust_env=False, timeout=60)
        assert loaded.status_code == 200, loaded.text
    finally:
        server.stop()
    assert os.readlink(root.path / "models--org--later") == "hub/models--org--later"
