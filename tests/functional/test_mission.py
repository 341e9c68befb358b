"""The mission's page "Cache Behavior: Local Dev vs Docker", row by row, looked up on the disk; docs/cache.md shows the
outcome. The Hub counts what is asked of it: "nothing downloaded twice" is a number here."""

import os
import pathlib
import re
import subprocess
import sys

import pytest
from downloads import repo_folder
from fault_hub import random_bytes
from running import PROGRAM, Server, environment, wait_for

FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))
REPO = "Qwen/Tiny-GGUF"
FILE = "tiny.Q4_1.gguf"
BYTES = 3_000_000


class House:
    """A user's machine: a home, a project folder with an .env file, a cache root, one database."""

    def __init__(self, folder: pathlib.Path, hub):
        self.folder = folder
        self.hub = hub
        self.home = folder / "home"
        self.root = folder / "LLM" / "hf-cache"
        self.default = self.home / ".cache" / "huggingface"
        self.repo = hub.add(REPO, {FILE: b"GGUF" + random_bytes(BYTES, 1), "README.md": b"# Tiny\n"})

    def dotenv(self, text: str):
        (self.folder / ".env").write_text(text)

    def environment(self, **settings):
        return environment(self.home, DATABASE_PATH=self.folder / "models.db", HOMELAB_LLM_ENGINE=FAKE_ENGINE,
                           HF_ENDPOINT=self.hub.endpoint, **settings)

    def serve(self, **settings):
        return Server(self.folder, self.environment(**settings))

    def python(self, code: str, **settings) -> str:
        """A plain script of the user, in a process of its own."""
        env = environment(self.home, HF_ENDPOINT=self.hub.endpoint, HF_HUB_DISABLE_XET="1", **settings)
        done = subprocess.run([sys.executable, "-c", f"REPO, FILE = {REPO!r}, {FILE!r}\n{code}"], env=env,
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def copies(self) -> list:
        """Every file on the machine that holds the model's bytes."""
        return [path for path in self.folder.rglob("*")
                if path.is_file() and not path.is_symlink() and path.stat().st_size >= BYTES]

    def blob(self, root) -> pathlib.Path:
        return repo_folder(root / "hub", REPO) / "blobs" / self.repo.blob_name(FILE)


@pytest.fixture
def house(tmp_path, fault_hub):
    return House(tmp_path, fault_hub)


DOWNLOAD = "from huggingface_hub import hf_hub_download\nprint(hf_hub_download(REPO, FILE))"


def register_and_load(server):
    model = server.register_and_load("qwen", REPO)
    server.stop()
    return model


def load(server):
    """Loads what is registered; gives its row."""
    status, answer = server.call("POST", "/api/orchestrate/load", {"model_name": "qwen"})
    (row,) = server.call("GET", "/api/models")[1]
    server.stop()
    assert status == 200, answer
    return row


# --- Local run via the API ---------------------------------------------------------------------------------------------


def test_local_with_env_file_uses_the_root_of_the_file(house):
    house.dotenv(f"PRIMARY_CACHE_PATH={house.root}\n")
    model = register_and_load(house.serve())
    assert model["cache_path"] == str(house.root)
    assert house.copies() == [house.blob(house.root)]
    assert not house.default.exists()


def test_local_with_a_shell_variable_that_variable_wins_over_the_env_file(house):
    house.dotenv("PRIMARY_CACHE_PATH=/nowhere\n")
    model = register_and_load(house.serve(PRIMARY_CACHE_PATH=house.root))
    assert model["cache_path"] == str(house.root)
    assert house.copies() == [house.blob(house.root)]


def test_local_without_env_file_uses_the_default_cache(house):
    model = register_and_load(house.serve())
    assert model["cache_path"] == str(house.default)
    assert house.copies() == [house.blob(house.default)]


def test_the_stored_root_is_used_after_the_variable_changed(house):
    register_and_load(house.serve(PRIMARY_CACHE_PATH=house.root))
    house.hub.clear_log()
    load(house.serve(PRIMARY_CACHE_PATH=house.folder / "other"))
    assert house.hub.gets() == []
    assert house.copies() == [house.blob(house.root)]


def test_a_root_stored_under_another_name_resolves_on_this_side(house):
    """What a container stored, or the host: the same folder has another name here, and the row is not edited."""
    register_and_load(house.serve(PRIMARY_CACHE_PATH=house.root))
    elsewhere = house.folder / "srv" / "models"
    elsewhere.parent.mkdir()
    house.root.rename(elsewhere)
    house.hub.clear_log()
    row = load(house.serve(PRIMARY_CACHE_PATH=elsewhere))
    assert house.hub.gets() == []
    assert house.copies() == [house.blob(elsewhere)]
    assert row["cache_path"] == str(house.root)


# --- Plain Python scripts ----------------------------------------------------------------------------------------------


def test_a_script_without_cache_dir_uses_the_default_cache(house):
    house.dotenv(f"PRIMARY_CACHE_PATH={house.root}\n")
    path = house.python(DOWNLOAD)
    assert pathlib.Path(path).is_relative_to(house.default / "hub")
    assert not house.root.exists()


def test_a_script_with_hf_home_uses_what_the_server_downloaded(house):
    register_and_load(house.serve(PRIMARY_CACHE_PATH=house.root))
    house.hub.clear_log()
    path = house.python(DOWNLOAD, HF_HOME=house.root)
    assert pathlib.Path(path).resolve() == house.blob(house.root)
    assert house.hub.gets() == []


def test_the_server_uses_what_a_script_with_hf_home_downloaded(house):
    house.python(DOWNLOAD, HF_HOME=house.root)
    house.hub.clear_log()
    register_and_load(house.serve(PRIMARY_CACHE_PATH=house.root))
    assert house.hub.gets() == []
    assert house.copies() == [house.blob(house.root)]


def test_the_server_uses_what_a_script_with_cache_dir_downloaded(house):
    """cache_dir=<root> leaves out hub/: Python's own rule. The files are found there and not fetched again."""
    path = house.python(f"from huggingface_hub import hf_hub_download\nprint(hf_hub_download(REPO, FILE, cache_dir={str(house.root)!r}))")
    assert pathlib.Path(path).is_relative_to(house.root / "models--Qwen--Tiny-GGUF")
    (copy,) = house.copies()
    house.hub.clear_log()
    register_and_load(house.serve(PRIMARY_CACHE_PATH=house.root))
    assert house.hub.gets() == []
    assert house.copies() == [copy]


# --- The page's "Verification" and "Testing", as written, with our program in the place of `python main.py` ---------------


def shell(house, line: str, **settings) -> str:
    env = house.environment(PRIMARY_CACHE_PATH=house.root, HOMELAB_LLM_PORT="0", **settings)
    env["PATH"] = f"{PROGRAM.parent}:{env['PATH']}"
    return subprocess.run(["bash", "-c", line], cwd=house.folder, env=env, capture_output=True, text=True,
                          timeout=60).stdout


def kilobytes(du: str) -> int:
    return int(du.split()[0])


def test_the_start_up_log_names_the_cache(house):
    text = shell(house, "timeout --signal=INT 2 homelab-llm serve 2>&1 | grep -i cache")
    assert str(house.root) in text


def test_the_root_grows_while_a_model_loads_and_the_default_cache_does_not(house):
    (house.root / "hub").mkdir(parents=True)
    server = house.serve(PRIMARY_CACHE_PATH=house.root)
    before = kilobytes(shell(house, f"du -sk {house.root}/hub/"))
    register_and_load(server)
    grown = kilobytes(shell(house, f"du -sk {house.root}/hub/")) - before
    assert BYTES // 1024 <= grown < 2 * BYTES // 1024
    assert re.search(r"models--Qwen--Tiny-GGUF", shell(house, f"ls -lh {house.root}/hub/"))
    assert shell(house, 'du -sh ~/.cache/huggingface/hub/ 2>/dev/null || echo "Not used"') == "Not used\n"


def test_the_log_says_where_the_root_was_set(house):
    house.dotenv(f"# the one place of configuration\nPRIMARY_CACHE_PATH={house.root}\n")
    server = house.serve()
    wait_for(server.log, re.escape(str(house.root / "hub")), server.process)
    text = server.log.read_text()
    server.stop()
    assert ".env" in text and "line 2" in text
