"""GET /models/sse: llama.cpp router's live stream of what happens to the models."""

import json

import pytest
from contract_house import House


class Watcher:
    """A client that has the stream open."""

    def __init__(self, house):
        self.opened = house.http.stream("GET", "/models/sse")
        self.answer = self.opened.__enter__()
        self.lines = self.answer.iter_lines()

    def close(self):
        self.opened.__exit__(None, None, None)

    def event(self) -> dict:
        """The next one; comments and empty lines are passed over."""
        for line in self.lines:
            if line.startswith("data: "):
                return json.loads(line.removeprefix("data: "))
            assert line in ("", ": ping")
        raise AssertionError("the stream ended")


@pytest.fixture
def watcher(idle):
    made = Watcher(idle)
    yield made
    made.close()


def test_a_load_and_an_unload_have_llama_cpps_events(idle, watcher):
    assert watcher.answer.headers["content-type"].startswith("text/event-stream")
    name = idle.register(hf_path=idle.local_model())["model_name"]
    assert watcher.event() == {"model": "*", "event": "models_reload"}
    idle.http.post("/models/load", json={"model": name})
    assert watcher.event() == {"model": name, "event": "model_status", "data": {"status": "loading"}}
    loaded = watcher.event()
    assert (loaded["model"], loaded["event"], loaded["data"]["status"]) == (name, "status_change", "loaded")
    assert loaded["data"]["info"]["id"] == name
    idle.http.post("/models/unload", json={"model": name})
    assert watcher.event() == {"model": name, "event": "status_change", "data": {"status": "unloaded", "exit_code": 0}}
    assert idle.http.delete(f"/api/models/{name}").status_code == 200
    assert watcher.event() == {"model": name, "event": "model_remove"}


def test_a_load_that_another_dialect_began_is_told_too(idle, watcher):
    name = idle.load()["model_name"]
    assert [watcher.event().get("data", {}).get("status") for _ in range(3)] == [None, "loading", "loaded"]
    assert {model["id"]: model["status"]["value"] for model in idle.http.get("/models").json()["data"]}[name] == "loaded"
    idle.unload()


def test_a_failed_load_says_why_and_the_list_shows_it(idle, watcher):
    name = idle.register(hf_path=idle.local_model("--fail-load bad tensor"))["model_name"]
    idle.http.post("/models/load", json={"model": name})
    events = [watcher.event() for _ in range(3)]
    assert events[-1]["data"]["exit_code"] == 1 and "bad tensor" in events[-1]["data"]["error"]
    status = {model["id"]: model["status"] for model in idle.http.get("/models").json()["data"]}[name]
    assert status == {"value": "unloaded", "failed": True, "exit_code": 1}


def test_every_client_hears_everything_in_the_same_order(idle):
    watchers = [Watcher(idle) for _ in range(20)]
    names = [idle.register()["model_name"] for _ in range(5)]
    for name in names:
        idle.http.delete(f"/api/models/{name}")
    heard = [[(event["model"], event["event"]) for event in (watcher.event() for _ in range(10))] for watcher in watchers]
    assert heard == [[("*", "models_reload")] * 5 + [(name, "model_remove") for name in names]] * 20
    for watcher in watchers:
        watcher.close()


def test_the_server_stops_at_once_while_clients_watch(tmp_path):
    house = House(tmp_path)
    watcher = Watcher(house)
    assert house.server.stop() == 0
    assert list(watcher.lines) == []
    watcher.close()
    house.http.close()
