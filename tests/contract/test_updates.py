"""Update check and update (contract §2.3, §5.6, §5.7; F35..F43), with a Hub that belongs to the test."""

import hashlib
import os
import re
import sqlite3
import sys
from pathlib import Path

import httpx
import pytest

TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "support"), str(TESTS / "functional")]
os.environ["HF_HUB_OFFLINE"] = "1"

from fault_hub import FaultHub, random_bytes  # noqa: E402
from huggingface_hub import scan_cache_dir, snapshot_download  # noqa: E402
from running import Server, environment  # noqa: E402
from test_cli import FAKE_ENGINE  # noqa: E402

REPO = "org/tiny-GGUF"
GGUF = "tiny.Q4_1.gguf"
LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


def gguf(seed):
    return b"GGUF" + random_bytes(300_000, seed)


class HubHouse:
    """A server with a Hub; `model` is registered and downloaded."""

    def __init__(self, folder, hub):
        self.folder, self.hub = folder, hub
        self.cache = folder / "hf-cache"
        self.server = Server(folder, environment(
            folder / "home", PRIMARY_CACHE_PATH=self.cache, SECONDARY_CACHE_PATH=folder / "second",
            DATABASE_PATH=folder / "models.db", HOMELAB_LLM_ENGINE=FAKE_ENGINE, HF_ENDPOINT=hub.endpoint))
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.server.port}", timeout=60, trust_env=False)
        self.repo = hub.add(REPO, {GGUF: gguf(1), "README.md": b"# Tiny\n"})
        self.old = self.repo.commit
        self.path = self.cache / "hub" / "models--org--tiny-GGUF"
        self.model = self.register(model_name="tiny", hf_path=REPO)
        self.load()
        self.unload()
        hub.clear_log()

    def register(self, **fields):
        answer = self.http.post("/api/models", json=fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def unload(self):
        assert self.http.post("/api/orchestrate/unload").status_code == 200

    def load(self, name="tiny"):
        answer = self.http.post("/api/orchestrate/load", json={"model_name": name})
        assert answer.status_code == 200, answer.text

    def move(self, name="new", content=None):
        self.repo.files = {**self.repo.files, GGUF: content or gguf(2)}
        self.repo.commit = hashlib.sha1(name.encode()).hexdigest()
        return self.repo.commit

    def row(self, name="tiny"):
        return next(row for row in self.http.get("/api/models").json() if row["model_name"] == name)

    def update(self, name="tiny", status=200, **query):
        answer = self.http.post(f"/api/models/{name}/update", params=query)
        assert answer.status_code == status, answer.text
        return answer.json()

    def blobs(self):
        return {path.name for path in (self.path / "blobs").iterdir()}

    def python_reads(self, commit):
        """Offline, and the scanner is content."""
        assert [str(one) for one in scan_cache_dir(self.cache / "hub").warnings] == []
        folder = snapshot_download(REPO, revision=commit, cache_dir=self.cache / "hub", local_files_only=True)
        return {str(path.relative_to(folder)): path.read_bytes() for path in self.path.joinpath(
            "snapshots", commit).rglob("*") if path.is_file()}


@pytest.fixture
def house(tmp_path):
    with FaultHub() as hub:
        made = HubHouse(tmp_path, hub)
        yield made
        made.http.close()
        assert made.server.stop() == 0, made.server.log.read_text()


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_an_update_brings_what_changed_and_moves_the_row(house):
    new = house.move()
    checked = house.http.get("/api/models/tiny/updates").json()
    assert checked["update_available"] and house.row()["update_available"]
    answer = house.update()
    assert list(answer) == ["message", "old_commit", "new_commit", "updated_at", "garbage_collection"]
    assert (answer["old_commit"], answer["new_commit"]) == (house.old, new)
    assert "tiny" in answer["message"] and LOCAL_TIME.fullmatch(answer["updated_at"])
    assert [seen.path.rsplit("/", 1)[-1] for seen in house.hub.gets()] == [GGUF]
    assert (house.path / "refs" / "main").read_text() == new
    row = house.row()
    assert (row["current_commit"], row["update_available"]) == (new, False)
    assert row["last_updated"] == answer["updated_at"]
    assert house.python_reads(new) == house.repo.files
    house.load()
    assert house.row()["current_commit"] == new


def test_garbage_is_the_replaced_revision_and_what_nothing_leads_to(house):
    nested = b"GGUF" + random_bytes(50_000, 7)
    new = house.move()
    house.repo.files = {**house.repo.files, "sub/dir/more.gguf": nested}
    loose = random_bytes(2 << 20, 9)
    (house.path / "blobs" / sha256(loose)).write_bytes(loose)
    other = "c" * 40     # a Python script's own revision, with a tag
    (house.path / "snapshots" / other / "sub").mkdir(parents=True)
    (house.path / "blobs" / sha256(nested)).write_bytes(nested)
    (house.path / "snapshots" / other / "sub" / "deep.gguf").symlink_to(f"../../../blobs/{sha256(nested)}")
    (house.path / "refs" / "v9").write_text(other)
    unfinished = f"{'d' * 64}.homelab.part"
    (house.path / "blobs" / unfinished).write_bytes(b"half")
    before = len(house.blobs()) - 1
    collected = house.update()["garbage_collection"]
    assert list(collected) == ["deleted_blobs", "freed_mb", "total_blobs", "referenced_blobs"]
    left = {sha256(gguf(2)), sha256(nested), house.repo.blob_name("README.md")}
    assert house.blobs() == left | {unfinished}
    assert collected["total_blobs"] == before + 1, "with the new one"
    assert (collected["deleted_blobs"], collected["referenced_blobs"]) == (2, len(left))
    assert collected["freed_mb"] == pytest.approx((len(gguf(1)) + len(loose)) / 2**20)
    assert {path.name for path in (house.path / "snapshots").iterdir()} == {new, other}
    assert house.python_reads(other)["sub/deep.gguf"] == nested


def test_without_garbage_collection_everything_stays(house):
    new = house.move()
    answer = house.http.post("/api/models/tiny/update?garbage_collect=no", json={"garbage_collect": True}).json()
    assert list(answer) == ["message", "old_commit", "new_commit", "updated_at"], "the body is not looked at"
    assert house.python_reads(house.old)[GGUF] == gguf(1) and house.python_reads(new)[GGUF] == gguf(2)


def test_nothing_new_is_a_success(house):
    answer = house.update()
    assert answer["old_commit"] == answer["new_commit"] == house.old and house.hub.gets() == []
    assert answer["garbage_collection"] == {"deleted_blobs": 0, "freed_mb": 0, "total_blobs": 2, "referenced_blobs": 2}
    assert house.row()["last_updated"] == answer["updated_at"]


def test_another_model_of_the_ref_goes_along_and_a_fixed_one_keeps_its_revision(house):
    house.register(model_name="second", hf_path=f"{REPO}:Q4_1")
    house.register(model_name="fixed", hf_path=f"{REPO}@{house.old}")
    house.load("second")
    new = house.move()
    assert house.update(status=200)["garbage_collection"]["deleted_blobs"] == 0, "the fixed one needs it"
    assert house.row()["current_commit"] == new
    assert house.row("second")["current_commit"] == house.old, "what is loaded is what the row says"
    house.unload()
    assert house.update("fixed")["new_commit"] == house.old


def test_what_was_never_downloaded_is_downloaded(house):
    served = house.hub.add("org/fresh-GGUF", {"fresh.Q4_1.gguf": gguf(5), "README.md": b"x"})
    house.register(model_name="fresh", hf_path="org/fresh-GGUF")
    answer = house.update("fresh")
    assert (answer["old_commit"], answer["new_commit"]) == (None, served.commit)
    assert house.row("fresh")["current_commit"] == served.commit
    house.hub.clear_log()
    house.load("fresh")
    assert house.hub.log == []


def test_the_loaded_model_is_not_updated(house):
    new = house.move()
    house.load()
    assert "tiny" in house.update(status=400)["detail"]
    assert (house.path / "refs" / "main").read_text() == house.old
    house.unload()
    assert house.update()["new_commit"] == new


def test_unknown_models_bad_flags_and_rows_without_a_cache_path(house):
    assert "nobody" in house.update("nobody", status=404)["detail"]
    assert house.update(status=422, garbage_collect="perhaps")["detail"][0]["loc"] == ["query", "garbage_collect"]
    with sqlite3.connect(house.folder / "models.db") as database:
        database.execute("UPDATE modelregistry SET cache_path = NULL")
    assert "cache path" in house.update(status=400)["detail"]
    assert house.http.get("/api/models/tiny/updates").status_code == 400


def test_a_local_model_has_no_commits(house):
    path = house.folder / "local.gguf"
    path.write_bytes(b"GGUF" + bytes(60))
    house.register(model_name="local", hf_path=str(path))
    answer = house.update("local")
    assert (answer["old_commit"], answer["new_commit"]) == (None, None)
    assert list(answer)[-1] == "garbage_collection_error" and path.exists()
    assert house.http.get("/api/models/local/updates").status_code == 500


def test_a_failed_download_changes_nothing(house):
    house.move()
    before = house.row()
    house.hub.fault(GGUF, times=None, status=404)
    assert GGUF in house.update(status=500)["detail"]
    assert house.row() == before and (house.path / "refs" / "main").read_text() == house.old
    del house.hub.repos[REPO]
    assert REPO in house.update(status=500)["detail"]
    assert house.row() == before


def test_an_update_is_seen_among_the_jobs(house):
    house.move()
    house.update()
    (job,) = [job for job in house.http.get("/api/jobs").json()["jobs"] if job["kind"] == "update"]
    assert job["state"] == "succeeded" and job["request"] == {"model_name": "tiny", "garbage_collect": True}
    again = house.http.post(f"/api/jobs/{job['id']}/retry")
    assert again.status_code == 202, "and can be done again"


def test_the_answer_of_a_check_elsewhere_is_kept(house):
    answer = house.http.post("/api/models/tiny/updates", json={"update_available": True, "local_commit": "b" * 40})
    assert answer.status_code == 200 and answer.json() == house.row()
    assert answer.json()["update_available"] and answer.json()["last_update_check"]
    assert answer.json()["current_commit"] == house.old, "what was loaded is not overwritten"
    for body in ({}, {"update_available": True, "local_commit": "main"}, {"update_available": True, "x": 1}):
        assert house.http.post("/api/models/tiny/updates", json=body).status_code == 422
    assert house.http.post("/api/models/nobody/updates", json={"update_available": True}).status_code == 404
    foreign = house.http.post("/api/models/tiny/updates", json={"update_available": False},
                              headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403 and house.row()["update_available"]


def test_relocation_is_all_or_nothing_and_not_for_loaded_models(house):
    house.register(model_name="second", hf_path=REPO)
    body = {"model_names": ["tiny", "second"], "cache_location": "secondary"}
    house.load()
    assert house.http.post("/api/models/relocate", json=body).status_code == 400
    house.unload()
    wrong = {**body, "model_names": ["tiny", "nobody"]}
    assert house.http.post("/api/models/relocate", json=wrong).status_code == 404
    assert house.row()["cache_location"] == "primary"
    moved = house.http.post("/api/models/relocate", json=body)
    assert moved.status_code == 200 and moved.json() == [house.row(), house.row("second")]
    assert (house.row()["cache_location"], house.row()["cache_path"]) == ("secondary", str(house.folder / "second"))
    for bad in ({"model_names": ["tiny"]}, {**body, "cache_location": "custom"}):
        assert house.http.post("/api/models/relocate", json=bad).status_code == 400
    assert house.http.post("/api/models/relocate", json={**body, "cache_location": "moon"}).status_code == 422
