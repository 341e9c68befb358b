"""The management calls of llama.cpp's own router."""

from running import until


def state_of(house, name):
    models = {model["id"]: model for model in house.http.get("/models").json()["data"]}
    return models[name]["status"]["value"]


def test_a_model_is_loaded_and_unloaded_by_name(idle):
    name = idle.register(hf_path=idle.local_model("--slow-load 300"))["model_name"]
    assert state_of(idle, name) == "unloaded"
    assert idle.http.post("/models/load", json={"model": name}).json() == {"success": True}
    assert state_of(idle, name) == "loading"
    until(lambda: state_of(idle, name) == "loaded")
    again = idle.http.post("/models/load", json={"model": name})
    assert (again.status_code, again.json()["error"]["message"]) == (400, "model is already running")
    assert idle.http.post("/models/unload", json={"model": name}).json() == {"success": True}
    assert state_of(idle, name) == "unloaded"
    assert idle.http.post("/models/unload", json={"model": name}).status_code == 400


def test_unknown_models_and_bad_bodies(house):
    for path in ("/models/load", "/models/unload"):
        assert house.http.post(path, json={"model": "nobody"}).status_code == 404
        for body in (b"", b"[]", b'{"model": 5}'):
            answer = house.http.post(path, content=body)
            assert answer.status_code == 400 and "model" in answer.json()["error"]["message"]
