"""Chat, and generations by their id: listed, and ended from elsewhere."""

import json
import threading

import httpx
import running


def requests_of(house):
    return httpx.get(house.url + "/api/requests", timeout=30, trust_env=False).json()["requests"]


def test_a_chat_is_a_generation_of_what_the_template_makes(loaded):
    body = {"messages": [{"role": "user", "content": "Hello there"}], "max_tokens": 3}
    answer = loaded.http.post("/api/chat", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.json()["message"] == {"role": "assistant", "content": "w0 w1 w2"}
    assert answer.json()["output_tokens"] == 3
    with loaded.http.stream("POST", "/api/chat/stream", json=body) as stream:
        events = [json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: ")]
    assert [event["type"] for event in events] == ["start", "token", "token", "token", "done"]


def test_every_dialect_tells_the_id_of_a_request(loaded):
    name = loaded.model["model_name"]
    asked = {"X-Request-ID": "my-id.7"}
    message = [{"role": "user", "content": "x"}]
    for path, body in [("/api/generate", {"prompt": "x"}), ("/api/chat", {"messages": message}),
                       ("/v1/chat/completions", {"model": name, "messages": message})]:
        assert loaded.http.post(path, json=body, headers=asked).headers["x-request-id"] == "my-id.7"
        assert loaded.http.post(path, json=body).headers["x-request-id"].startswith("req-")
    assert requests_of(loaded) == []


def test_a_running_stream_is_listed_and_ended_by_its_id(idle):
    idle.load("--hold-after 1")
    with idle.http.stream("POST", "/api/generate/stream", json={"prompt": "x"}, headers={"X-Request-ID": "held"}) as answer:
        assert answer.headers["x-request-id"] == "held"
        lines = answer.iter_lines()
        while "w0" not in next(lines):
            pass
        (listed,) = requests_of(idle)
        assert (listed["id"], listed["state"], listed["path"]) == ("held", "running", "/api/generate/stream")
        again = httpx.post(idle.url + "/api/generate", json={"prompt": "x"}, headers={"X-Request-ID": "held"}, timeout=30,
                           trust_env=False)
        assert again.status_code == 409
        assert httpx.delete(idle.url + "/api/requests/held", timeout=30, trust_env=False).status_code == 200
        rest = [json.loads(line[6:]) for line in lines if line]
    assert [event["type"] for event in rest] == ["error"]
    assert requests_of(idle) == []
    idle.unload()


def test_a_request_that_is_no_stream_ends_with_409(idle):
    idle.load("--hold-after 1")
    answers = []
    thread = threading.Thread(target=lambda: answers.append(httpx.post(
        idle.url + "/api/generate", json={"prompt": "x"}, headers={"X-Request-ID": "whole"}, timeout=60, trust_env=False)))
    thread.start()
    running.until(lambda: any(one["state"] == "running" for one in requests_of(idle)), what="the request's beginning")
    assert idle.http.post("/api/requests/whole/cancel").status_code == 200
    thread.join()
    assert answers[0].status_code == 409
    idle.unload()
