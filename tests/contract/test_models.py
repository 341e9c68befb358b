"""Registry routes (contract §2.2, §2.3)."""

import re

import pytest

FIELDS = [
    "id", "model_name", "hf_path", "trust_remote_code", "created_at", "cache_location", "cache_path", "model_size_mb",
    "parameter_count", "model_type", "architecture", "default_dtype", "context_length", "mmlu_score", "gpqa_score",
    "hellaswag_score", "humaneval_score", "mbpp_score", "math_score", "truthfulqa_score", "perplexity",
    "max_throughput_tokens_sec", "avg_latency_ms", "quantization", "total_loads", "total_inferences", "last_loaded",
    "load_config", "compatibility_status", "compatibility_notes"]
VERSIONS = ["current_commit", "current_version", "last_updated", "update_available", "last_update_check"]
LOCAL_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


def test_registration_gives_the_model_object(house):
    model = house.register(model_name=" Gemma super tiny (270m) ", hf_path=" google / gemma-3-270m-it ")
    assert list(model) == FIELDS + VERSIONS
    assert model["model_name"] == "Gemma super tiny (270m)"
    assert model["hf_path"] == "google/gemma-3-270m-it"
    assert model["cache_location"] == "primary"
    assert model["cache_path"] == str(house.cache)
    assert LOCAL_TIME.fullmatch(model["created_at"])
    assert (model["compatibility_status"], model["total_loads"], model["total_inferences"]) == ("unknown", 0, 0)
    assert model["trust_remote_code"] is False and model["update_available"] is False


def test_the_list_has_all_models_in_the_order_of_their_ids(house):
    first, second = house.register(), house.register()
    listed = house.http.get("/api/models").json()
    assert [model["id"] for model in listed] == sorted(model["id"] for model in listed)
    assert [first, second] == listed[-2:]


def test_two_models_may_share_a_hub_path_but_not_a_name(house):
    model = house.register(hf_path="same/path")
    house.register(hf_path="same/path")
    answer = house.http.post("/api/models", json={"model_name": f" {model['model_name']} ", "hf_path": "a/b"})
    assert answer.status_code == 400
    assert model["model_name"] in answer.json()["detail"]
    assert house.register(model_name=model["model_name"].upper())["model_name"].isupper()


@pytest.mark.parametrize("fields,words", [
    ({"cache_location": "moon"}, ["moon", "primary", "secondary", "custom"]),
    ({"cache_location": "Primary"}, ["Primary"]),
    ({"cache_location": "custom"}, ["cache_path"]),
    ({"cache_location": "custom", "cache_path": "  "}, ["cache_path"]),
])
def test_a_bad_location_is_400(house, fields, words):
    answer = house.http.post("/api/models", json={"model_name": house.fresh_name(), "hf_path": "a/b", **fields})
    assert answer.status_code == 400
    for word in words:
        assert word in answer.json()["detail"]


def test_custom_paths_are_stored_trimmed_and_ignored_elsewhere(house, tmp_path):
    folder = tmp_path / "custom"
    assert house.register(cache_location="custom", cache_path=f"  {folder} ")["cache_path"] == str(folder)
    assert not folder.exists()
    assert house.register(cache_location="secondary", cache_path="/x")["cache_path"] == str(house.folder / "second")


def test_too_large_an_estimate_is_507(house):
    answer = house.http.post("/api/models", json={
        "model_name": house.fresh_name(), "hf_path": "a/b", "estimated_size_mb": 1024 * 1024 * 1024})
    assert answer.status_code == 507
    assert "primary" in answer.json()["detail"]
    assert "1048576.0 GB" in answer.json()["detail"]


@pytest.mark.parametrize("estimate", [None, 0, -3, "12.5"])
def test_lenient_estimates(house, estimate):
    house.register(estimated_size_mb=estimate)


def test_delete_removes_the_row(house):
    model = house.register(model_name="Tiny qwen (King Nish)")
    answer = house.http.delete("/api/models/%20Tiny%20qwen%20%28King%20Nish%29%20")
    assert answer.status_code == 200
    assert list(answer.json()) == ["message"]
    assert model not in house.http.get("/api/models").json()
    answer = house.http.delete("/api/models/Tiny%20qwen%20(King%20Nish)")
    assert answer.status_code == 404
    assert "Tiny qwen (King Nish)" in answer.json()["detail"]


def test_a_name_with_a_slash_can_be_addressed(house):
    house.register(model_name="org/with-slash")
    assert house.http.delete("/api/models/org%2Fwith-slash").status_code == 200


def test_delete_refuses_the_loaded_model(loaded):
    name = loaded.model["model_name"]
    assert loaded.http.delete(f"/api/models/{name}").status_code == 400
    loaded.unload()
    assert loaded.http.delete(f"/api/models/{name}").status_code == 200


def make_repo(root, name):
    commit = "0123456789012345678901234567890123456789"
    repo = root / "hub" / f"models--{name.replace('/', '--')}"
    (repo / "blobs").mkdir(parents=True)
    (repo / "blobs" / "aa").write_bytes(bytes(3 << 20))
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "snapshots" / commit / "model.gguf").symlink_to("../../blobs/aa")
    return repo


def test_delete_with_files_frees_them_and_nothing_else(house):
    repo, neighbour = make_repo(house.cache, "free/me"), make_repo(house.cache, "free/me-not")
    name = house.register(hf_path="free/me")["model_name"]
    body = house.http.delete(f"/api/models/{name}?delete_files=true").json()
    assert set(body) == {"message", "freed_space_mb", "deleted_path"}
    assert body["freed_space_mb"] == pytest.approx(3, abs=0.01)
    assert body["deleted_path"] == str(repo)
    assert not repo.exists() and neighbour.exists()


def test_delete_with_files_keeps_what_another_row_needs(house):
    repo = make_repo(house.cache, "shared/model")
    names = [house.register(hf_path="shared/model")["model_name"] for _ in range(2)]
    body = house.http.delete(f"/api/models/{names[0]}?delete_files=yes").json()
    assert names[1] in body["warning"] and repo.exists()
    body = house.http.delete(f"/api/models/{names[1]}?delete_files=yes").json()
    assert "freed_space_mb" in body and not repo.exists()


def test_delete_with_files_warns_when_there_are_none(house):
    name = house.register(hf_path="not/here")["model_name"]
    body = house.http.delete(f"/api/models/{name}?delete_files=1").json()
    assert set(body) == {"message", "warning"}
    assert "models--not--here" in body["warning"]


def test_ids_and_rows_survive_a_failed_registration(house):
    before = house.http.get("/api/models").json()
    house.http.post("/api/models", json={"model_name": "x", "hf_path": "a/b", "cache_location": "moon"})
    assert house.http.get("/api/models").json() == before
