"""cache gc beside the repositories: payloads of the shared store that nobody uses, trial folders of killed programs, old
damaged content. The real huggingface_hub reads the cache before and after."""

import json
import os
import time

import pytest
from downloads import python_client, repo_folder
from running import command, environment

REPO = "org/model"
USED, UNUSED = "ab" * 32, "cd" * 32


class House:
    def __init__(self, folder, hub):
        self.folder = folder
        self.cache = folder / "hf" / "hub"
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=folder / "hf", SECONDARY_CACHE_PATH=folder / "second",
                               HF_ENDPOINT="http://127.0.0.1:9", HOMELAB_LLM_TRASH_HOURS="24")
        hub.add(REPO, {"config.json": b"{}", "model.gguf": b"GGUF" + b"x" * 50_000})
        python_client(self.cache, f"""
import huggingface_hub as h
print(json.dumps(h.snapshot_download({REPO!r}, cache_dir=folder)))""", HF_HUB_OFFLINE="0", HF_ENDPOINT=hub.endpoint)
        self.store = self.cache / "blobs"
        self.store.mkdir()
        (self.store / ".huggingface-shared-blobs").write_text("1\n")

    def payload(self, xet, content, references):
        path = self.store / xet[:2] / xet
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)
        path.with_name(f"{xet}.refs").write_text(references)
        self.age(path)
        return path

    def age(self, path, days=3):
        moment = time.time() - days * 24 * 3600
        os.utime(path, (moment, moment))

    def gc(self, *words, code=0):
        done = command(self.env, self.folder, "cache", "gc", "--json", *words)
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def python_sees(self):
        return python_client(self.cache, f"""
import os
import huggingface_hub as h
path = h.snapshot_download({REPO!r}, cache_dir=folder, local_files_only=True)
print(json.dumps([sorted(os.listdir(path)), [str(w) for w in h.scan_cache_dir(folder).warnings]]))""")


@pytest.fixture
def house(tmp_path, fault_hub):
    return House(tmp_path, fault_hub)


def blocks(*paths):
    return sum(path.lstat().st_blocks * 512 for path in paths)


def test_what_nobody_uses_beside_the_repositories_goes_and_the_bytes_are_exact(house):
    blob = max((repo_folder(house.cache, REPO) / "blobs").iterdir(), key=lambda path: path.stat().st_size)
    used = house.payload(USED, blob.read_bytes(), f"models--org--model/blobs/{blob.name}\n")
    blob.unlink()
    blob.symlink_to(f"../../blobs/ab/{USED}")
    unused = house.payload(UNUSED, b"y" * 100_000, "models--gone--gone/blobs/" + "1" * 64 + "\n")
    trial = house.cache / "tmpk3_x9abz"
    trial.mkdir()
    (trial / "dummy_file_src").touch()
    house.age(trial)
    assert "tmpk3_x9abz" in str(house.python_sees()[1]), "Python's scanner minds it"

    would = house.gc("--dry-run")
    (plan,) = would["plans"]
    assert (plan["repo"], plan["type"]) == (None, "hub")
    assert [(item["kind"], item["path"]) for item in plan["items"]] == [
        ("payload", f"blobs/cd/{UNUSED}"), ("leftover", "tmpk3_x9abz")]
    assert would["frees_bytes"] == blocks(unused, trial, trial / "dummy_file_src")
    assert unused.exists() and trial.exists()

    done = house.gc("--yes")
    assert (done["removed"], done["freed_bytes"], done["skipped"], done["trash"]) == (2, would["frees_bytes"], [], [])
    assert used.exists() and not unused.exists() and not trial.exists()
    assert house.python_sees() == [["config.json", "model.gguf"], []]
    assert house.gc("--yes")["plans"] == []


def test_damaged_content_goes_when_the_trashs_time_is_over(house):
    cell = house.cache / ".locks" / ".homelab-llm" / "quarantine" / "models--org--model"
    cell.mkdir(parents=True)
    bad = cell / ("e" * 64 + ".0123abcd")
    bad.write_bytes(b"z" * 20_000)
    assert house.gc("--yes")["plans"] == []
    house.env["HOMELAB_LLM_TRASH_HOURS"] = "0"
    freed = blocks(bad)
    done = house.gc("--yes")
    assert (done["removed"], done["freed_bytes"]) == (1, freed)
    assert not bad.exists()
    assert house.python_sees()[1] == []
