"""Load, unload, validate, status, health, configuration (contract §2.4, §2.5, §2.8, §2.9)."""

import json
import re
import threading

import running
from secret_token import SECRET


def load(house, name, **fields):
    return house.http.post("/api/orchestrate/load", json={"model_name": name, **fields})


def test_load_fills_in_what_is_known(idle):
    model = idle.load()
    assert set(model) >= {"message", "model_id", "parameter_count", "model_type", "compatibility_status"}
    assert model["model_id"] == model["id"]
    assert model["parameter_count"] == 134515008
    assert model["model_type"] == "LlamaForCausalLM"
    assert model["compatibility_status"] == "compatible"
    row = idle.http.get("/api/models").json()[-1]
    assert row["total_loads"] == 1 and row["last_loaded"] and row["context_length"] == 2048
    idle.unload()


def test_loading_another_model_unloads_the_first(idle):
    first, second = idle.load(), idle.load()
    status = idle.http.get("/api/status").json()
    assert status["loaded_model"] == second["model_name"] != first["model_name"]
    assert status["loaded_model_id"] == second["id"]
    assert len(idle.server.engine_pids()) == 1
    idle.unload()


def test_load_of_an_unknown_name_is_404(house):
    answer = load(house, " nobody ")
    assert answer.status_code == 404
    assert "nobody" in answer.json()["detail"]


def test_a_failed_load_is_500_with_the_cause_and_leaves_nothing_loaded(loaded):
    path = loaded.local_model("--fail-load no such architecture: foo")
    name = loaded.register(hf_path=path)["model_name"]
    answer = load(loaded, name)
    assert answer.status_code == 500
    assert "no such architecture: foo" in answer.json()["detail"]
    assert loaded.http.get("/api/status").json()["loaded_model"] is None
    row = [model for model in loaded.http.get("/api/models").json() if model["model_name"] == name][0]
    assert row["compatibility_status"] == "incompatible"
    assert "no such architecture" in row["compatibility_notes"]


def test_an_incompatible_model_needs_force(idle):
    path = idle.local_model("--fail-load broken weights")
    name = idle.register(hf_path=path)["model_name"]
    load(idle, name)
    answer = load(idle, name)
    assert answer.status_code == 400
    assert "broken weights" in answer.json()["detail"] and "force" in answer.json()["detail"]
    assert load(idle, name, force_load=True).status_code == 500
    (idle.folder / f"{path.rsplit('/', 1)[1]}.flags").write_text("")
    answer = load(idle, name, force_load="yes")
    assert answer.status_code == 200
    assert answer.json()["compatibility_status"] == "compatible"
    idle.unload()


def test_unload_names_the_model_and_refuses_when_none_is_loaded(loaded):
    answer = loaded.http.post("/api/orchestrate/unload")
    assert answer.status_code == 200
    assert list(answer.json()) == ["message"] and loaded.model["model_name"] in answer.json()["message"]
    assert loaded.http.post("/api/orchestrate/unload").status_code == 400
    running.until(lambda: not loaded.server.engine_pids(), what="the end of the engine")


def test_validate_has_its_three_answers(idle):
    assert idle.http.get("/api/orchestrate/validate").status_code == 503
    model = idle.load()
    answer = idle.http.get("/api/orchestrate/validate")
    assert answer.status_code == 200
    assert answer.json() == {"status": "healthy", "model_name": model["model_name"], "test_passed": True,
                             "device": answer.json()["device"], "dtype": answer.json()["dtype"]}
    sick = idle.load("--refuse out of memory")
    answer = idle.http.get("/api/orchestrate/validate")
    assert answer.status_code == 200
    assert set(answer.json()) == {"status", "model_name", "test_passed", "error"}
    assert answer.json()["status"] == "unhealthy" and answer.json()["model_name"] == sick["model_name"]
    idle.unload()


def test_status_without_a_model(idle):
    status = idle.http.get("/api/status").json()
    assert list(status) == ["loaded_model", "loaded_model_id", "performance_logging", "gpu_available",
                            "gpu_memory_allocated_mb", "gpu_memory_reserved_mb"]
    assert status["loaded_model"] is None and status["loaded_model_id"] is None
    assert isinstance(status["gpu_available"], bool)


def test_lists_answer_while_a_model_loads_and_the_job_is_shown(idle):
    name = idle.register(hf_path=idle.local_model("--slow-load 1500"))["model_name"]
    results = []
    thread = threading.Thread(target=lambda: results.append(load(idle, name)))
    thread.start()
    running.until(lambda: any(job["model"] == name and job["state"] == "starting"
                              for job in idle.http.get("/api/jobs").json()["jobs"]), what="the job")
    assert idle.http.get("/api/status").json()["loaded_model"] is None
    assert idle.http.get("/api/models").status_code == 200
    assert not results, "the load ended before it was looked at"
    thread.join()
    assert results[0].status_code == 200
    job = [job for job in idle.http.get("/api/jobs").json()["jobs"] if job["model"] == name][-1]
    assert list(job) == ["id", "kind", "model", "state", "total_bytes", "done_bytes", "downloaded_bytes",
                         "bytes_per_second", "error"]
    assert job["state"] == "done" and job["error"] is None
    idle.unload()


def test_performance_logging_is_switched_in_memory(house):
    assert house.http.get("/api/config/logging").json() == {"performance_logging": True}
    answer = house.http.post("/api/config/logging", json={"enable": "no"})
    assert answer.status_code == 200
    assert set(answer.json()) == {"message", "performance_logging"} and answer.json()["performance_logging"] is False
    assert house.http.get("/api/status").json()["performance_logging"] is False
    house.http.post("/api/config/logging", json={"enable": True})


def test_health(house):
    answer = house.http.get("/health").json()
    assert list(answer) == ["status", "timestamp", "gpu_available"]
    assert answer["status"] == "healthy"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}", answer["timestamp"])


def test_cache_config_shows_the_effective_values(house):
    assert house.http.get("/api/cache/config").json() == {
        "primary_path": str(house.cache), "primary_limit_gb": 100.0, "secondary_path": str(house.folder / "second"),
        "secondary_limit_gb": 2000.0, "usage_warning_threshold": 0.9}


def test_explain_leads_from_the_setting_to_the_files(house):
    name = house.register(hf_path="org/chain")["model_name"]
    answer = house.http.get("/api/explain", params={"model": name}).json()
    assert set(answer) == {"settings", "warnings", "locations", "model"}
    row = [row for row in answer["settings"] if row["name"] == "PRIMARY_CACHE_PATH"][0]
    assert row["value"] == str(house.cache) and "environment" in row["origin"]
    assert answer["model"]["repo_folder"] == str(house.cache / "hub" / "models--org--chain")
    assert answer["model"]["complete"] is False
    assert house.http.get("/api/explain?model=nobody").status_code == 404
    token = [row for row in answer["settings"] if row["name"] == "HF_TOKEN"][0]
    assert token["origin"] == "environment"
    assert SECRET not in json.dumps(answer)
