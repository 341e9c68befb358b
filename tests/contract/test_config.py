"""PATCH /api/models/{name}/config: what the owner says about a model."""

import json

import pytest


def patch(house, name, **fields):
    return house.http.patch(f"/api/models/{name}/config", json=fields)


def test_only_the_fields_that_are_there_are_written(house):
    name = house.register()["model_name"]
    answer = patch(house, name, load_config='{"context": 512}', compatibility_notes="mine")
    assert answer.status_code == 200, answer.text
    assert answer.json()["load_config"] == '{"context": 512}'
    assert answer.json()["compatibility_status"] == "unknown"
    answer = patch(house, name, compatibility_status="degraded")
    assert (answer.json()["load_config"], answer.json()["compatibility_notes"]) == ('{"context": 512}', "mine")
    assert house.http.get("/api/models").json()[-1]["compatibility_status"] == "degraded"


def test_null_clears(house):
    name = house.register()["model_name"]
    patch(house, name, load_config="{}", compatibility_status="degraded", compatibility_notes="mine")
    cleared = patch(house, name, load_config=None, compatibility_status=None, compatibility_notes=None).json()
    assert [cleared[field] for field in ("load_config", "compatibility_status", "compatibility_notes")] == [None] * 3


@pytest.mark.parametrize("text", ["", "{", "torch_dtype=float16"])
def test_a_load_config_that_is_no_json_is_400(house, text):
    answer = patch(house, house.register()["model_name"], load_config=text)
    assert answer.status_code == 400
    assert "load_config" in answer.json()["detail"]


@pytest.mark.parametrize("status", ["testing", "", "Compatible"])
def test_a_status_that_is_not_the_owners_to_give_is_400(house, status):
    answer = patch(house, house.register()["model_name"], compatibility_status=status)
    assert answer.status_code == 400
    assert "unknown, compatible, incompatible, degraded" in answer.json()["detail"]


def test_wrong_types_are_422_and_unknown_names_404(house):
    name = house.register()["model_name"]
    assert patch(house, name, load_config={"context": 512}).status_code == 422
    assert patch(house, "nobody", load_config="{}").status_code == 404


def test_the_load_config_is_obeyed_or_refused_with_a_reason(idle):
    name = idle.register(hf_path=idle.local_model())["model_name"]
    patch(idle, name, load_config=json.dumps({"max_memory": {"0": "1GB"}}))
    answer = idle.http.post("/api/orchestrate/load", json={"model_name": name})
    assert answer.status_code == 500
    assert "max_memory" in answer.json()["detail"]
    patch(idle, name, load_config=json.dumps({"device_map": "auto", "context": 512}))
    assert idle.http.post("/api/orchestrate/load", json={"model_name": name}).status_code == 200
    idle.unload()
