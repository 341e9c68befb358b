"""Generation in one answer and as a stream (contract §2.6)."""

import json
import os
import signal
import threading

import httpx
import pytest
import running


def events(house, **body):
    with house.http.stream("POST", "/api/generate/stream", json={"prompt": "one two three", **body}) as answer:
        assert answer.status_code == 200, answer.read()
        text = answer.read().decode("ascii")
    assert text.endswith("\n\n")
    blocks = text[:-2].split("\n\n")
    for block in blocks:
        assert block.startswith("data: ") and "\n" not in block
    return [json.loads(block[6:]) for block in blocks]


def test_one_answer_has_prompt_and_continuation_and_six_fields(loaded):
    answer = loaded.http.post("/api/generate", json={"prompt": "one two three ", "max_tokens": 4})
    assert answer.status_code == 200
    body = answer.json()
    assert list(body) == ["generated_text", "input_tokens", "output_tokens", "total_tokens", "inference_time_ms",
                          "tokens_per_second"]
    assert body["generated_text"] == "one two three w0 w1 w2 w3"
    assert (body["input_tokens"], body["output_tokens"], body["total_tokens"]) == (3, 4, 7)
    assert body["inference_time_ms"] > 0 and body["tokens_per_second"] > 0


def test_generation_works_with_logging_off(loaded):
    loaded.http.post("/api/config/logging", json={"enable": False})
    before = loaded.http.get("/api/models").json()[-1]["total_inferences"]
    assert loaded.http.post("/api/generate", json={"prompt": "x"}).status_code == 200
    assert loaded.http.get("/api/models").json()[-1]["total_inferences"] == before
    loaded.http.post("/api/config/logging", json={"enable": True})


@pytest.mark.parametrize("parameters", [{"temperature": 0}, {"top_p": 0}, {"do_sample": False}, {"temperature": 2, "top_p": 1}])
def test_the_ends_of_the_ranges_work(loaded, parameters):
    assert loaded.http.post("/api/generate", json={"prompt": "x", "max_tokens": 1, **parameters}).status_code == 200


@pytest.mark.parametrize("path", ["/api/generate", "/api/generate/stream"])
def test_without_a_model_it_is_503_but_bad_input_comes_first(idle, path):
    answer = idle.http.post(path, json={"prompt": "x"})
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/json"
    assert "load" in answer.json()["detail"]
    assert idle.http.post(path, json={"prompt": "x", "max_tokens": 0}).status_code == 422


def test_an_engine_error_is_500_with_the_cause(idle):
    idle.load("--refuse the prompt is too long")
    answer = idle.http.post("/api/generate", json={"prompt": "x"})
    assert answer.status_code == 500
    assert "the prompt is too long" in answer.json()["detail"]
    idle.unload()


def test_stream_has_the_headers_and_the_order_of_events(loaded):
    with loaded.http.stream("POST", "/api/generate/stream", json={"prompt": "a b", "max_tokens": 3}) as answer:
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["x-accel-buffering"] == "no"
        assert answer.headers["transfer-encoding"] == "chunked"
        assert answer.headers["connection"] == "keep-alive"
        answer.read()
    seen = events(loaded, max_tokens=5)
    assert seen[0] == {"type": "start", "input_tokens": 3}
    assert [event["type"] for event in seen[1:-1]] == ["token"] * 5
    done = seen[-1]
    assert list(done) == ["type", "input_tokens", "output_tokens", "total_tokens", "inference_time_ms", "ttft_ms",
                          "tokens_per_second"]
    assert (done["type"], done["input_tokens"], done["output_tokens"], done["total_tokens"]) == ("done", 3, 5, 8)
    assert 0 < done["ttft_ms"] <= done["inference_time_ms"]


def test_the_texts_of_a_stream_are_the_continuation_of_the_one_answer(loaded):
    parameters = {"prompt": "one two three", "max_tokens": 6, "do_sample": False}
    texts = "".join(event["text"] for event in events(loaded, **parameters) if event["type"] == "token")
    assert loaded.http.post("/api/generate", json=parameters).json()["generated_text"] == parameters["prompt"] + texts


def test_a_failing_engine_ends_the_stream_with_one_error_event(idle):
    idle.load("--error-after 2")
    seen = events(idle)
    assert [event["type"] for event in seen] == ["start", "token", "token", "error"]
    assert "lost its mind" in seen[-1]["error"]
    idle.unload()


def test_killing_the_engine_ends_the_stream_with_one_error_event_and_the_next_load_works(idle):
    idle.load("--hold-after 2")
    with idle.http.stream("POST", "/api/generate/stream", json={"prompt": "x"}) as answer:
        lines = answer.iter_lines()
        while "w1" not in next(lines):
            pass
        for pid in idle.server.engine_pids():
            os.kill(pid, signal.SIGKILL)
        rest = [json.loads(line[6:]) for line in lines if line]
    assert [event["type"] for event in rest] == ["error"]
    assert rest[0]["error"]
    running.until(lambda: idle.http.get("/api/status").json()["loaded_model"] is None, what="the empty status")
    idle.load()
    assert events(idle, max_tokens=1)[-1]["type"] == "done"
    idle.unload()


def test_other_requests_are_answered_during_a_stream(idle):
    idle.load("--hold-after 1")
    with idle.http.stream("POST", "/api/generate/stream", json={"prompt": "x"}) as answer:
        lines = answer.iter_lines()
        while "w0" not in next(lines):
            pass
        for path in ["/health", "/api/status", "/api/models", "/api/jobs"]:
            assert httpx.get(idle.url + path, timeout=5, trust_env=False).status_code == 200
    idle.unload()


def test_a_client_that_leaves_stops_the_generation(idle):
    idle.load("--hold-after 1")
    with idle.http.stream("POST", "/api/generate/stream", json={"prompt": "x"}) as answer:
        next(answer.iter_lines())
    running.until(lambda: engine_stats(idle)["left_early"] >= 1, what="the engine's notice")
    idle.unload()


def engine_stats(house):
    pid = house.server.engine_pids()[0]
    arguments = open(f"/proc/{pid}/cmdline").read().split("\0")
    socket = arguments[arguments.index("--host") + 1]
    with httpx.Client(transport=httpx.HTTPTransport(uds=socket)) as client:
        return client.get("http://engine/fake/stats").json()


def test_unloading_during_a_stream_ends_it_cleanly(idle):
    idle.load("--hold-after 1")
    with idle.http.stream("POST", "/api/generate/stream", json={"prompt": "x"}) as answer:
        lines = answer.iter_lines()
        while "w0" not in next(lines):
            pass
        assert httpx.post(idle.url + "/api/orchestrate/unload", timeout=30, trust_env=False).status_code == 200
        rest = [json.loads(line[6:]) for line in lines if line]
    assert [event["type"] for event in rest] == ["error"]


def test_eight_clients_at_once_get_what_one_gets(loaded):
    expected = loaded.http.post("/api/generate", json={"prompt": "a b", "max_tokens": 9}).json()["generated_text"]
    results = []

    def ask():
        answer = httpx.post(loaded.url + "/api/generate", json={"prompt": "a b", "max_tokens": 9}, timeout=60, trust_env=False)
        results.append(answer.json()["generated_text"])

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 8


def test_another_model_than_the_loaded_one_can_be_named(loaded):
    other = loaded.register(hf_path=loaded.local_model())["model_name"]
    answer = loaded.http.post("/api/generate", json={"prompt": "a b", "max_tokens": 2, "model": other})
    assert answer.status_code == 200, answer.text
    assert loaded.http.get("/api/status").json()["loaded_model"] == loaded.model["model_name"]
    engines = {engine["model_name"]: engine for engine in loaded.http.get("/api/engines").json()["engines"]}
    assert engines[other]["current"] is False
    assert loaded.http.post("/api/orchestrate/unload", json={"model_name": other}).status_code == 200
    assert loaded.http.post("/api/generate", json={"prompt": "a", "model": "nobody"}).status_code == 404
