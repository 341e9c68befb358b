"""cache adopt: files that stand elsewhere become part of the cache without a second copy; the real Python client finds
them offline."""

import hashlib
import json
import os
import pathlib
import struct

import pytest
from downloads import check_complete, model_files, python_client, repo_folder
from fault_hub import random_bytes
from running import command, environment

REPO = "org/loose-GGUF"


def gguf(size=200_000, seed=1):
    return b"GGUF" + random_bytes(size, seed)


def safetensors(size=100_000, seed=2):
    header = json.dumps({"w": {"dtype": "U8", "shape": [size], "data_offsets": [0, size]}}).encode()
    return struct.pack("<Q", len(header)) + header + random_bytes(size, seed)


class House:
    def __init__(self, folder, hub):
        self.folder = folder
        self.hub = hub
        self.root = folder / "hf"
        self.cache = self.root / "hub"
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.root, SECONDARY_CACHE_PATH=folder / "second",
                               HF_ENDPOINT=hub.endpoint)

    def adopt(self, *words, code=0):
        done = command(self.env, self.folder, "cache", "adopt", "--json", *words)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def python_finds(self, repo, files):
        """Offline, by name and as a snapshot, and the scanner has nothing to say."""
        seen = python_client(self.cache, f"""
import huggingface_hub as h
path = h.snapshot_download({repo!r}, cache_dir=folder, local_files_only=True)
one = [h.hf_hub_download({repo!r}, name, cache_dir=folder, local_files_only=True) for name in {sorted(files)!r}]
info = h.scan_cache_dir(folder)
print(json.dumps({{"path": path, "one": one, "warnings": [str(w) for w in info.warnings],
                  "repos": [r.repo_id for r in info.repos]}}))""")
        assert seen["warnings"] == [] and repo in seen["repos"]
        for name, content in files.items():
            assert (pathlib.Path(seen["path"]) / name).read_bytes() == content
        assert [pathlib.Path(one).read_bytes() for one in seen["one"]] == [files[name] for name in sorted(files)]

    def inodes(self):
        return {path.stat().st_ino for path in self.cache.rglob("*") if path.is_file() and not path.is_symlink()}


@pytest.fixture
def house(tmp_path, fault_hub):
    return House(tmp_path, fault_hub)


def disk_blocks(*folders):
    """Blocks of all files below the folders, each inode once."""
    return sum({path.stat().st_ino: path.stat().st_blocks for folder in folders for path in folder.rglob("*")
                if path.is_file() and not path.is_symlink()}.values())


def test_a_loose_gguf_file_gets_a_name_and_no_second_copy(house):
    content = gguf()
    source = house.write("Downloads/model.Q4_1.gguf", content)
    report = house.adopt(source, "--as", REPO)
    (model,) = report["models"]
    (file,) = model["files"]
    assert file["blob"] == hashlib.sha256(content).hexdigest()
    assert file["way"] in ("hardlink", "reflink") and model["copied_bytes"] == 0
    assert model["adopted_bytes"] == len(content)
    if file["way"] == "hardlink":
        assert source.stat().st_ino in house.inodes()
    assert source.read_bytes() == content
    house.python_finds(REPO, {"model.Q4_1.gguf": content})


def test_a_folder_of_safetensors_is_a_whole_snapshot(house):
    files = {"config.json": b'{"model_type": "llama"}', "model.safetensors": safetensors(),
             "sub/tokenizer.json": random_bytes(5000, 9)}
    for name, content in files.items():
        house.write(f"mine/{name}", content)
    house.write("mine/.git/config", b"secret")
    house.write("mine/pytorch_model.bin", b"pickle")
    house.write("mine/half.safetensors.part", b"x")
    report = house.adopt(house.folder / "mine", "--as", "me/mine")
    assert sorted(file["path"] for file in report["models"][0]["files"]) == sorted(files)
    assert len(report["remarks"]) == 2
    house.python_finds("me/mine", files)


def test_doing_it_again_changes_nothing_and_gives_the_same_commit(house):
    source = house.write("model.gguf", gguf())
    first = house.adopt(source, "--as", REPO)["models"][0]
    before = sorted(house.cache.rglob("*"))
    again = house.adopt(source, "--as", REPO)["models"][0]
    assert again["commit"] == first["commit"] and again["adopted_bytes"] == 0
    assert [file["way"] for file in again["files"]] == ["present"]
    assert sorted(house.cache.rglob("*")) == before


def test_files_that_come_later_join_those_that_are_there(house):
    one, two = gguf(seed=1), gguf(seed=2)
    house.adopt(house.write("a.Q4.gguf", one), "--as", REPO)
    house.adopt(house.write("b.Q8.gguf", two), "--as", REPO)
    house.python_finds(REPO, {"a.Q4.gguf": one, "b.Q8.gguf": two})


def test_move_renames(house):
    content = gguf()
    source = house.write("model.gguf", content)
    inode = source.stat().st_ino
    report = house.adopt(source, "--as", REPO, "--move")
    assert [file["way"] for file in report["models"][0]["files"]] == ["move"]
    assert not source.exists() and inode in house.inodes()
    house.python_finds(REPO, {"model.gguf": content})


def test_a_dry_run_shows_the_bytes_and_touches_nothing(house):
    source = house.write("model.gguf", gguf())
    report = house.adopt(source, "--as", REPO, "--dry-run")
    assert report["models"][0]["adopted_bytes"] == source.stat().st_size
    assert not house.root.exists()


def test_what_is_downloaded_later_is_not_downloaded_again(house):
    """The blob has the Hub's own name, so the real repository costs only its other files."""
    files = {"model.gguf": gguf(), "config.json": b"{}"}
    repo = house.hub.add(REPO, files)
    house.adopt(house.write("model.gguf", files["model.gguf"]), "--as", REPO)
    python_client(house.cache, f"""
import huggingface_hub as h
print(json.dumps(h.snapshot_download({REPO!r}, cache_dir=folder)))""", HF_HUB_OFFLINE="0",
                  HF_ENDPOINT=house.hub.endpoint)
    assert [seen.path.rsplit("/", 1)[1] for seen in house.hub.gets()] == ["config.json"]
    check = repo_folder(house.cache, REPO) / "refs" / "main"
    assert check.read_text() == repo.commit


def partly_downloaded(house, weights):
    """A repository of which Python fetched everything but the weights."""
    repo = house.hub.add(REPO, {"config.json": b"{}", "model.safetensors": weights})
    python_client(house.cache, f"""
import huggingface_hub as h
print(json.dumps(h.snapshot_download({REPO!r}, cache_dir=folder, ignore_patterns=["*.safetensors"])))""",
                  HF_HUB_OFFLINE="0", HF_ENDPOINT=house.hub.endpoint)
    return repo


def test_a_downloaded_revision_that_lists_the_file_is_completed(house):
    weights = safetensors()
    repo = partly_downloaded(house, weights)
    report = house.adopt(house.write("model.safetensors", weights), "--as", REPO)
    assert report["models"][0]["commit"] == repo.commit
    check_complete(house.cache, repo)


def test_main_stays_at_what_was_downloaded_when_the_file_is_another(house):
    repo = partly_downloaded(house, safetensors(seed=1))
    other = safetensors(seed=2)
    report = house.adopt(house.write("model.safetensors", other), "--as", REPO)
    assert any("main stays" in remark for remark in report["models"][0]["remarks"])
    assert (repo_folder(house.cache, REPO) / "refs" / "main").read_text() == repo.commit
    snapshot = repo_folder(house.cache, REPO) / "snapshots" / report["models"][0]["commit"]
    assert (snapshot / "model.safetensors").read_bytes() == other


def test_another_cache_is_taken_whole_without_a_copy(house):
    repo = house.hub.add("org/model", model_files())
    other = house.folder / "old-cache"
    python_client(other, """
import huggingface_hub as h
print(json.dumps(h.snapshot_download("org/model", cache_dir=folder)))""", HF_HUB_OFFLINE="0",
                  HF_ENDPOINT=house.hub.endpoint)
    before = disk_blocks(other)
    report = house.adopt(other)
    assert report["problems"] == []
    assert disk_blocks(other, house.cache) - before < 200, "only links and folders are new"
    check_complete(house.cache, repo)
    check_complete(other, repo)
    house.adopt(other, "--move")
    assert not repo_folder(other, "org/model").exists()
    check_complete(house.cache, repo)


def ollama_model(store, host, space, name, tag, content, **more):
    digest = hashlib.sha256(content).hexdigest()
    (store / "blobs").mkdir(parents=True, exist_ok=True)
    (store / "blobs" / f"sha256-{digest}").write_bytes(content)
    manifest = store / "manifests" / host / space / name / tag
    manifest.parent.mkdir(parents=True, exist_ok=True)
    layers = [{"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": len(content)},
              {"mediaType": "application/vnd.ollama.image.license", "digest": "sha256:" + "0" * 64, "size": 1}]
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers, **more}))
    return manifest


def test_ollamas_models_are_shared_and_stay_ollamas(house):
    store = house.folder / ".ollama" / "models"
    big, small, mine = gguf(seed=1), gguf(seed=2), gguf(seed=3)
    ollama_model(store, "registry.ollama.ai", "library", "llama3.2", "1b", big)
    ollama_model(store, "registry.ollama.ai", "library", "llama3.2", "latest", small)
    ollama_model(store, "hf.co", "bartowski", "Some-GGUF", "Q4_K_M", mine)
    broken = ollama_model(store, "registry.ollama.ai", "library", "broken", "latest", gguf(seed=4))
    broken.write_text('{"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:../../x"}]}')
    before = disk_blocks(store)
    report = house.adopt(house.folder / ".ollama")
    assert sorted(model["repo"] for model in report["models"]) == ["bartowski/Some-GGUF", "ollama/llama3.2"]
    assert len(report["remarks"]) == 1 and "broken" in report["remarks"][0]
    house.python_finds("ollama/llama3.2", {"llama3.2-1b.gguf": big, "llama3.2-latest.gguf": small})
    house.python_finds("bartowski/Some-GGUF", {"Some-GGUF-Q4_K_M.gguf": mine})
    assert disk_blocks(store, house.cache) - before < 200
    assert house.adopt(house.folder / ".ollama", "--move", code=1)["problems"]
    assert disk_blocks(store) == before


def test_lm_studios_models_keep_their_names(house):
    content = gguf()
    house.write(".lmstudio/models/org/Name-GGUF/name.Q4.gguf", content)
    house.write(".lmstudio/models/not a name/x/y.gguf", content)
    report = house.adopt(house.folder / ".lmstudio")
    assert [model["repo"] for model in report["models"]] == ["org/Name-GGUF"]
    house.python_finds("org/Name-GGUF", {"name.Q4.gguf": content})


@pytest.mark.parametrize("name, content", [
    ("pointer.gguf", b"version https://git-lfs.github.com/spec/v1\n"),
    ("page.safetensors", b"<html>" + b"x" * 100),
    ("empty.gguf", b"")])
def test_a_file_that_is_not_what_its_name_says_is_refused(house, name, content):
    report = house.adopt(house.write(name, content), "--as", REPO, code=1)
    assert "whatever its name says" in report["problems"][0]


def test_links_out_of_a_folder_are_not_followed(house):
    secret = house.write("secret.json", b"secret")
    house.write("mine/model.gguf", gguf())
    (house.folder / "mine" / "planted.json").symlink_to(secret)
    report = house.adopt(house.folder / "mine", "--as", "me/mine")
    assert [file["path"] for file in report["models"][0]["files"]] == ["model.gguf"]
    assert secret.stat().st_nlink == 1


def test_another_file_system_needs_an_explicit_copy(house):
    if os.stat("/dev/shm").st_dev == os.stat(house.folder).st_dev:
        raise AssertionError("this test needs two file systems")
    other = pathlib.Path("/dev/shm") / f"homelab-adopt-{os.getpid()}.gguf"
    content = gguf()
    other.write_bytes(content)
    try:
        report = house.adopt(other, "--as", REPO, code=1)
        assert "--copy" in report["problems"][0]
        report = house.adopt(other, "--as", REPO, "--copy")
        assert report["models"][0]["copied_bytes"] == len(content)
    finally:
        other.unlink()
    house.python_finds(REPO, {other.name: content})


def test_in_a_bridged_root_it_is_seen_from_both_sides(house):
    house.cache.mkdir(parents=True)
    assert command(house.env, house.folder, "cache", "bridge").returncode == 0
    house.adopt(house.write("model.gguf", gguf()), "--as", REPO)
    assert os.readlink(repo_folder(house.root, REPO)) == "hub/models--org--loose-GGUF"


def test_a_loose_file_without_a_name_is_wrong_usage(house):
    done = command(house.env, house.folder, "cache", "adopt", house.write("model.gguf", gguf()))
    assert done.returncode == 2 and "--as ORG/NAME" in done.stderr
