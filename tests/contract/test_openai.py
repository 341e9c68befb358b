"""OpenAI's dialect."""

import pytest


def error_of(answer):
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_models_are_listed_and_shown(house):
    name = house.register(model_name="with/slash")["model_name"]
    listed = house.http.get("/v1/models").json()
    assert listed["object"] == "list"
    assert {"id": name, "object": "model", "owned_by": "homelab-llm"}.items() <= listed["data"][-1].items()
    assert isinstance(listed["data"][-1]["created"], int)
    assert house.http.get(f"/v1/models/{name}").json()["id"] == name
    assert error_of(house.http.get("/v1/models/nobody"))["code"] == "model_not_found"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
def test_requests_reach_the_engine_unchanged(loaded, path):
    body = '{"messages": [ {"role":"user"} ],   "model":"%s"}' % loaded.model["model_name"]
    answer = loaded.http.post(path, content=body.encode(), headers={"content-type": "application/json"})
    assert answer.status_code == 200
    assert answer.text == f"POST {path} {body}"


def test_a_registered_model_is_loaded_when_it_is_named(idle):
    name = idle.register(hf_path=idle.local_model())["model_name"]
    answer = idle.http.post("/v1/chat/completions", json={"model": name, "messages": []})
    assert answer.status_code == 200, answer.text
    assert idle.http.get("/api/status").json()["loaded_model"] == name
    idle.unload()


def test_without_a_model_the_error_says_what_to_do(idle):
    answer = idle.http.post("/v1/chat/completions", json={"messages": []})
    assert answer.status_code == 503
    error = error_of(answer)
    assert error["code"] == "model_not_loaded" and "/api/orchestrate/load" in error["message"]


def test_an_unknown_model_is_404(loaded):
    answer = loaded.http.post("/v1/chat/completions", json={"model": "nobody", "messages": []})
    assert answer.status_code == 404
    assert error_of(answer)["code"] == "model_not_found"
    assert loaded.http.get("/api/status").json()["loaded_model"] == loaded.model["model_name"]


def test_a_model_that_cannot_be_loaded_gives_its_reason(idle):
    name = idle.register(hf_path=idle.local_model("--fail-load bad tensor"))["model_name"]
    answer = idle.http.post("/v1/completions", json={"model": name, "prompt": "x"})
    assert answer.status_code == 500
    assert "bad tensor" in error_of(answer)["message"]


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"model": 5}'])
def test_bad_bodies_are_400(house, content):
    answer = house.http.post("/v1/completions", content=content)
    assert answer.status_code == 400
    assert error_of(answer)["type"] == "invalid_request_error"
