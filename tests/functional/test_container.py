"""The same cache on the host and in a container (design §3), in mount namespaces: the root is a layer that is dropped,
the host's folder is mounted elsewhere, as in the mission's compose file. The hub counts what is downloaded."""

import json
import os
import pathlib
import subprocess

import httpx
import pytest
from downloads import REPO, model_files, python_client, repo_folder
from running import PROGRAM, command, environment, until

FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))
IN_CONTAINER = pathlib.Path(__file__).resolve().parent.parent / "support" / "in_container.sh"
MISSION = "/root/.cache/huggingface"


class House:
    """One .env for both sides: the host's path in PRIMARY_CACHE_PATH."""

    def __init__(self, folder, hub):
        self.folder = folder / "house"
        self.cache = self.folder / "LLM" / "hf-cache"
        self.data = folder / "data"
        self.cache.mkdir(parents=True)
        self.data.mkdir()
        self.hub = hub
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.cache, SECONDARY_CACHE_PATH=self.folder / "none",
                               HF_ENDPOINT=hub.endpoint, HOMELAB_LLM_ENGINE=FAKE_ENGINE,
                               DATABASE_PATH=self.data / "models.db", HOMELAB_LLM_PORT="1")

    def on_host(self, *words, code=0):
        return self._answer(command(self.env, self.data, *words, "--json"), code)

    def in_container(self, *words, mounts, code=0, **settings):
        return self._answer(subprocess.run(self.container_words(mounts, *words, "--json"), capture_output=True, text=True,
                                           timeout=120, env=self.container_env(**settings)), code)

    def container_words(self, mounts, *words):
        places = [f"{source}:{point}" for source, point in mounts] + [f"{self.data}:{self.data}"]
        return [str(IN_CONTAINER), str(self.folder), *places, "--", str(PROGRAM), *map(str, words)]

    def container_env(self, **settings):
        return {**self.env, "HOMELAB_LLM_CONTAINER": "1", "HOME": "/root", **{k: str(v) for k, v in settings.items()}}

    def downloads(self):
        seen = self.hub.gets()
        self.hub.clear_log()
        return [one.path.rsplit("/", 1)[-1] for one in seen]

    @staticmethod
    def _answer(done, code):
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)


@pytest.fixture
def house(tmp_path, fault_hub):
    fault_hub.add(REPO, model_files())
    return House(tmp_path, fault_hub)


def test_what_the_container_downloads_is_there_for_the_host_and_python(house):
    pulled = house.in_container("pull", REPO, mounts=[(house.cache, MISSION)])
    assert pulled["folder"].startswith(f"{MISSION}/hub/models--")
    assert house.downloads() != []
    assert repo_folder(house.cache / "hub", REPO).is_dir(), "on the host's disk, not in the container's layer"
    here = house.on_host("pull", REPO)
    assert here["folder"].startswith(str(house.cache)) and here["downloaded_bytes"] == 0
    assert python_client(house.cache / "hub", f"""
import huggingface_hub as h
path = h.snapshot_download({REPO!r}, cache_dir=folder)
print(json.dumps([path, [str(w) for w in h.scan_cache_dir(folder).warnings]]))""") == [here["folder"], []]
    assert house.downloads() == []


def test_what_the_host_downloads_is_there_for_the_container(house):
    house.on_host("pull", REPO)
    house.hub.clear_log()
    there = house.in_container("pull", REPO, mounts=[(house.cache, MISSION)])
    assert there["downloaded_bytes"] == 0 and house.downloads() == []


@pytest.mark.parametrize("mounted", ["itself", "a folder above it", "its own place"])
def test_the_mount_is_found_wherever_it_is(house, mounted):
    mounts = {"itself": [(house.cache, "/cache")], "a folder above it": [(house.cache.parent, "/data")],
              "its own place": [(house.cache, house.cache)]}[mounted]
    root = {"itself": "/cache", "a folder above it": "/data/hf-cache", "its own place": str(house.cache)}[mounted]
    primary, *_ = house.in_container("explain", mounts=mounts)["locations"]
    assert (primary["root"], primary["hub_folder"]) == (root, f"{root}/hub")
    house.in_container("pull", REPO, mounts=mounts)
    assert repo_folder(house.cache / "hub", REPO).is_dir()


def test_an_explicit_map_wins(house):
    other = house.folder / "other"
    other.mkdir()
    house.in_container("pull", REPO, mounts=[(house.cache, "/cache"), (other, "/named")],
                       CACHE_PATH_MAP=f"{house.cache}=/named")
    assert repo_folder(other / "hub", REPO).is_dir() and not (house.cache / "hub").exists()


def test_without_a_mount_a_download_is_refused_with_the_lines_to_add(house):
    refused = house.in_container("pull", REPO, mounts=[], code=1)["error"]
    assert refused["code"] == "failed_precondition"
    assert f"- {house.cache}:{house.cache}" in refused["message"] and "CACHE_PATH_MAP" in refused["message"]
    assert house.downloads() == []
    house.in_container("pull", REPO, mounts=[], HOMELAB_LLM_ALLOW_CONTAINER_LAYER="true")
    assert house.downloads() != [] and list(house.cache.iterdir()) == [], "allowed, and lost"


def test_a_model_registered_in_the_container_loads_on_the_host_and_the_reverse(house):
    """One database, used by both sides in turn; no row is edited."""
    server = subprocess.Popen(house.container_words([(house.cache, MISSION)], "serve", "--port", "0"),
                              env=house.container_env(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        lines = []
        for line in server.stdout:
            lines.append(line)
            if line.startswith("listening on"):
                break
        url = next(word for word in lines[-1].split() if word.startswith("http://")).rstrip("/.,")
        assert any(f"which is {MISSION} here" in line for line in lines), "".join(lines)
        client = httpx.Client(base_url=url, trust_env=False, timeout=60)
        made = client.post("/api/models", json={"model_name": "shared", "hf_path": REPO})
        assert made.status_code == 201 and made.json()["cache_path"] == str(house.cache), made.text
        loaded = client.post("/api/orchestrate/load", json={"model_name": "shared"})
        assert loaded.status_code == 200, loaded.text
    finally:
        server.terminate()
        server.wait(timeout=30)
    assert house.downloads() != []
    row = house.on_host("show", "shared")
    assert row["cache_path"] == str(house.cache) and row["total_loads"] == 1
    there = house.on_host("explain", "shared")
    assert there["complete"] and house.downloads() == []
    until(lambda: server.poll() is not None, what="the container is gone")
