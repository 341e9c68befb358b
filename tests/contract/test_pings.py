"""A stream whose engine is silent: its client gets a sign of life, from the time it waits for its model."""

import json

import pytest
from contract_house import House

PING = ": ping"
PATHS = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"max_tokens": 8, "messages": [{"role": "user", "content": "Hi"}]},
}


@pytest.fixture(scope="module")
def hasty(tmp_path_factory):
    """A server that lets nobody wait in silence for more than a twentieth of a second."""
    made = House(tmp_path_factory.mktemp("hasty"), HOMELAB_LLM_PING_MS=50)
    yield made
    made.http.close()
    assert made.server.stop() == 0, made.server.log.read_text()


@pytest.fixture(autouse=True)
def nothing_stays_loaded(hasty):
    yield
    for engine in hasty.http.get("/api/engines").json()["engines"]:
        hasty.http.post("/models/unload", json={"model": engine["model_name"]})


def gated(house, flag: str):
    """(name, gate): a model that is silent until the gate is touched."""
    gate = house.folder / f"{house.fresh_name()}.gate"
    return house.register(hf_path=house.local_model(f"{flag} {gate}"))["model_name"], gate


def lines_of(answer, gate, is_ping, pings: int = 3):
    """All lines of a stream; the engine speaks once `pings` signs of life have come."""
    lines = []
    for line in answer.iter_lines():
        lines.append(line)
        if sum(map(is_ping, lines)) == pings:
            gate.touch()
    return lines


@pytest.mark.parametrize("path", PATHS)
def test_a_silent_prefill_has_signs_of_life(hasty, path):
    name, gate = gated(hasty, "--answer-when")
    ping = "event: ping" if path == "/v1/messages" else PING
    with hasty.http.stream("POST", path, json={**PATHS[path], "model": name, "stream": True}) as answer:
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
        lines = lines_of(answer, gate, lambda line: line == ping)
    assert lines.count(ping) >= 3
    assert any("w0" in line for line in lines if line.startswith("data: "))


@pytest.mark.parametrize("path", PATHS)
def test_a_stream_that_waits_for_its_model_has_them_too(hasty, path):
    # The second flag makes the engine answer with a stream.
    gate = hasty.folder / f"{hasty.fresh_name()}.gate"
    flags = f"--ready-when {gate}\n--answer-when {gate}"
    name = hasty.register(hf_path=hasty.local_model(flags))["model_name"]
    ping = "event: ping" if path == "/v1/messages" else PING
    with hasty.http.stream("POST", path, json={**PATHS[path], "model": name, "stream": True}) as answer:
        lines = lines_of(answer, gate, lambda line: line == ping)
    assert any("w0" in line for line in lines if line.startswith("data: "))


def test_one_that_waits_for_another_request_has_them_too(hasty):
    """Models take turns at the processor."""
    first, first_gate = gated(hasty, "--answer-when")
    second, second_gate = gated(hasty, "--answer-when")
    second_gate.touch()
    body = {"prompt": "Hi", "stream": True}
    with hasty.http.stream("POST", "/v1/completions", json={**body, "model": first}) as busy:
        begun = busy.iter_lines()
        assert next(begun) == PING
        with hasty.http.stream("POST", "/v1/completions", json={**body, "model": second}) as waiting:
            lines = lines_of(waiting, first_gate, lambda line: line == PING)
        assert lines.count(PING) >= 3
        assert any("w0" in line for line in lines)
        assert any("w0" in line for line in begun)


def test_a_failed_load_is_an_error_event_once_they_have_begun(hasty):
    name, _ = gated(hasty, "--ready-when")
    with hasty.http.stream("POST", "/v1/completions", json={"model": name, "prompt": "Hi", "stream": True}) as answer:
        lines = answer.iter_lines()
        assert next(lines) == PING
        assert hasty.http.post("/api/orchestrate/unload", json={"model_name": name}).status_code == 200
        events = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert list(events[-1]) == ["error"] and "cancelled" in events[-1]["error"]["message"]


def test_the_originals_stream_has_them(hasty):
    name, gate = gated(hasty, "--ready-when")
    with hasty.http.stream("POST", "/api/generate/stream", json={"model": name, "prompt": "Hi", "max_tokens": 2}) as answer:
        lines = lines_of(answer, gate, lambda line: line == PING)
    events = [json.loads(line[6:])["type"] for line in lines if line.startswith("data: ")]
    assert events == ["start", "token", "token", "done"]


@pytest.mark.parametrize("path, body", [
    ("/ollama/api/chat", {"messages": [{"role": "user", "content": "Hi"}]}),
    ("/ollama/api/generate", {"prompt": "Hi"}),
])  # fmt: skip
def test_ollamas_lines_have_empty_pieces_of_text(hasty, path, body):
    name, gate = gated(hasty, "--answer-when")
    with hasty.http.stream("POST", path, json={**body, "model": name}) as answer:
        lines = [json.loads(line) for line in lines_of(answer, gate, lambda line: '"done":false' in line)]
    texts = [line["message"]["content"] if "message" in line else line["response"] for line in lines]
    assert texts[:3] == ["", "", ""] and "".join(texts) == "w0"
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
