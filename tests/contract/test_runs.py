"""Every run of a model leaves a row; figures of them, their export, and /metrics."""

import csv
import io
import json
import pathlib
import re
import signal
import sqlite3
import threading

import pytest
from contract_house import House
from running import ROOT

FAKE_USAGE = {"usage": {"prompt_tokens": 11, "completion_tokens": 5}}  # the imitated engine answers with the request


def runs(house, model, **query):
    answer = house.http.get("/api/analytics/runs", params={"model": model["model_name"], **query})
    assert answer.status_code == 200, answer.text
    return answer.json()["runs"]


def chat(house, path="/v1/chat/completions", **fields):
    body = {"messages": [{"role": "user", "content": "Hello"}], **FAKE_USAGE, **fields}
    return house.http.post(path, json=body, headers={"X-Request-Id": "mine-1"})


def test_generate_leaves_a_row_with_everything(loaded):
    loaded.http.post("/api/generate", json={"prompt": "hello", "max_tokens": 4, "temperature": 0.5})
    run = runs(loaded, loaded.model)[0]
    assert (run["endpoint"], run["streamed"]) == ("/api/generate", False)
    assert run["prompt_hash"] == "2cf24dba5fb0a30e"
    assert run["parameters"] == {"max_tokens": 4, "temperature": 0.5}
    assert run["output_tokens"] == 4 and run["decode_tokens_per_second"] == pytest.approx(50)
    assert run["engine_version"] == "fake-1" and run["engine_mem_mb"] > 0
    assert run["queue_wait_ms"] >= 0 and run["inter_token_mean_ms"] >= 0
    assert run["request_id"] and run["timestamp"].endswith("Z")


def test_a_stream_leaves_one_row_that_says_so(loaded):
    loaded.http.post("/api/generate/stream", json={"prompt": "a b", "max_tokens": 3})
    run = runs(loaded, loaded.model)[0]
    assert (run["endpoint"], run["streamed"], run["input_tokens"]) == ("/api/generate/stream", True, 2)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/rerank",
                                  "/v1/responses", "/v1/messages"])
def test_what_passes_through_leaves_a_row(loaded, path):
    before = len(runs(loaded, loaded.model))
    assert chat(loaded, path, max_tokens=9, temperature=0).status_code == 200
    found = runs(loaded, loaded.model)
    assert len(found) == before + 1
    assert (found[0]["endpoint"], found[0]["request_id"]) == (path, "mine-1")
    assert (found[0]["input_tokens"], found[0]["output_tokens"]) == (11, 5)
    assert found[0]["parameters"]["max_tokens"] == found[0]["max_new_tokens"] == 9
    assert found[0]["error_occurred"] is False and found[0]["prompt_hash"]


def test_ollamas_dialect_leaves_a_row_under_its_own_route(loaded):
    loaded.http.post("/ollama/api/chat", json={"model": loaded.model["model_name"], "stream": False,
                                               "messages": [{"role": "user", "content": "Hello"}]})
    assert runs(loaded, loaded.model)[0]["endpoint"] == "/ollama/api/chat"


def test_counting_tokens_is_no_run(loaded):
    loaded.http.post("/tokenize", json={"content": "a b"})
    assert runs(loaded, loaded.model) == []


def test_a_failed_run_is_a_row_with_its_error(house):
    model = house.load("--error-after 1")
    house.http.post("/api/generate", json={"prompt": "a", "max_tokens": 4})
    run = runs(house, model)[0]
    assert run["error_occurred"] and run["error_code"] == "internal" and "lost its mind" in run["error_message"]
    house.unload()


def test_a_client_that_leaves_is_a_cancelled_run(house):
    model = house.load("--hold-after 1")
    with house.http.stream("POST", "/api/generate/stream", json={"prompt": "a", "max_tokens": 4}) as answer:
        next(line for line in answer.iter_lines() if '"token"' in line)
    house.wait(lambda: runs(house, model), "a row of the run that was called off")
    assert runs(house, model)[0]["error_code"] == "cancelled"
    summary = house.http.get("/api/analytics/summary", params={"model": model["model_name"]}).json()
    assert summary["groups"][0]["cancelled"] == 1 and summary["groups"][0]["ttft_ms"] is None
    house.unload()


def test_the_summary_has_percentiles_in_groups(loaded):
    for count in (2, 3, 4):
        loaded.http.post("/api/generate", json={"prompt": "a", "max_tokens": count})
    chat(loaded)
    query = {"model": loaded.model["model_name"], "by": "endpoint"}
    answer = loaded.http.get("/api/analytics/summary", params=query).json()
    assert answer["complete"] is True
    groups = {group["group"]: group for group in answer["groups"]}
    assert set(groups) == {"/api/generate", "/v1/chat/completions"}
    assert groups["/api/generate"]["runs"] == 3 and groups["/api/generate"]["output_tokens"] == 9
    speed = groups["/api/generate"]["decode_tokens_per_second"]
    assert speed["runs"] == 3 and speed["p50"] == pytest.approx(50, rel=0.01)
    for bucket in ("hour", "day"):
        series = loaded.http.get("/api/analytics/series", params=query | {"bucket": bucket, "since": "2d"}).json()
        assert sum(group["runs"] for group in series["groups"]) == 4
        assert all(group["begins"].endswith("Z") for group in series["groups"])


def test_two_groups_side_by_side(loaded):
    loaded.http.post("/api/generate", json={"prompt": "a", "max_tokens": 3})
    chat(loaded)
    query = {"model": loaded.model["model_name"], "by": "endpoint", "a": "/api/generate", "b": "/v1/chat/completions"}
    answer = loaded.http.get("/api/analytics/compare", params=query)
    assert answer.status_code == 200, answer.text
    assert answer.json()["a"]["runs"] == answer.json()["b"]["runs"] == 1
    assert isinstance(answer.json()["median_change_percent"]["latency_ms"], float)
    assert loaded.http.get("/api/analytics/compare", params=query | {"b": "/nothing"}).status_code == 404
    assert loaded.http.get("/api/analytics/compare?a=x").status_code == 400


def test_a_slower_model_is_named(loaded):
    """Its past is written into the file, as another program would."""
    database = sqlite3.connect(loaded.folder / "models.db", timeout=20)
    with database:
        database.executemany(
            "INSERT INTO performancelog (timestamp, model_registry_id, model_name, output_tokens, "
            "decode_tokens_per_second) VALUES (datetime('now', '-2 days'), ?, ?, 9, 500)",
            [(loaded.model["id"], loaded.model["model_name"])] * 60)
    database.close()
    for _ in range(20):
        loaded.http.post("/api/generate", json={"prompt": "a", "max_tokens": 3})
    answer = loaded.http.get("/api/analytics/regressions", params={"model": loaded.model["model_name"]}).json()
    (model,) = answer["models"]
    assert model["recent_runs"] == 20 and model["past_runs"] == 60
    (slower,) = model["slower"]
    assert slower["figure"] == "decode_tokens_per_second"
    assert slower["change_percent"] == pytest.approx(-90, abs=1)
    assert loaded.http.get("/api/analytics/regressions?model=nobody").status_code == 404


@pytest.mark.parametrize("query", ["since=yesterday", "until=2026-13-01", "by=colour", "since="])
def test_a_bad_question_is_refused(house, query):
    answer = house.http.get(f"/api/analytics/summary?{query}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", query.split("=")[0]]


def test_the_export_has_every_row_in_both_forms(loaded):
    for i in range(3):
        chat(loaded, "/v1/chat/completions", user=f'=cmd "{i}"')
    query = {"model": loaded.model["model_name"]}
    rows = loaded.http.get("/api/analytics/export", params=query)
    assert rows.headers["content-type"] == "application/json"
    listed = rows.json()
    assert listed == sorted(runs(loaded, loaded.model), key=lambda run: run["id"])
    table = loaded.http.get("/api/analytics/export", params=query | {"format": "csv"})
    assert "runs.csv" in table.headers["content-disposition"]
    lines = list(csv.DictReader(io.StringIO(table.text)))
    assert [int(line["id"]) for line in lines] == [run["id"] for run in listed]
    assert list(lines[0]) == list(listed[0])
    assert json.loads(lines[0]["parameters"])["user"] == '=cmd "0"'
    assert loaded.http.get("/api/analytics/export", params={"model": "nobody"}).json() == []


SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? '
                    r'(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|NaN|[+-]Inf)$')


def parsed(text):
    """The samples of an exposition by name; strict about its form."""
    kinds, samples, seen = {}, {}, set()
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# HELP "):
            continue
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds and kind in ("counter", "gauge", "histogram")
            kinds[name] = kind
            continue
        match = SAMPLE.match(line)
        assert match, line
        name, labels, value = match.groups()
        base = re.sub("_(bucket|sum|count)$", "", name)
        kind = kinds.get(name) or kinds.get(base)
        assert kind and (name, labels) not in seen, line
        assert kind != "counter" or name.endswith("_total"), line
        seen.add((name, labels))
        pairs = dict(re.findall(r'([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"', labels or ""))
        samples.setdefault(name, []).append((pairs, float(value)))
    return kinds, samples


def test_metrics_are_what_prometheus_reads(loaded):
    loaded.http.post("/api/generate", json={"prompt": "a", "max_tokens": 3})
    loaded.http.get("/api/models/no%20such")
    answer = loaded.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    kinds, samples = parsed(answer.text)
    name = loaded.model["model_name"]
    run = {"model": name, "endpoint": "/api/generate", "outcome": "ok"}
    assert (run, 1.0) in samples["homelab_llm_runs_total"]
    assert ({"model": name}, 3.0) in samples["homelab_llm_generated_tokens_total"]
    assert any(labels == {"model": name} and value > 0 for labels, value in samples["homelab_llm_model_memory_bytes"])
    missing = {"method": "GET", "route": "/api/models/{name}", "status": "404"}
    assert any(labels == missing and value >= 1 for labels, value in samples["homelab_llm_http_requests_total"])
    assert samples["process_open_fds"][0][1] > 3 and samples["process_start_time_seconds"][0][1] > 1.7e9
    for metric in (name for name, kind in kinds.items() if kind == "histogram"):
        for labels, count in samples[f"{metric}_count"]:
            buckets = [value for pairs, value in samples[f"{metric}_bucket"]
                       if {key: text for key, text in pairs.items() if key != "le"} == labels]
            assert buckets == sorted(buckets) and buckets[-1] == count


def test_the_dashboard_asks_for_nothing_that_is_not_there(loaded):
    loaded.http.post("/api/generate", json={"prompt": "a", "max_tokens": 3})
    _, samples = parsed(loaded.http.get("/metrics").text)
    dashboard = json.loads((ROOT / "packaging" / "grafana" / "homelab-llm.json").read_text())
    asked = 0
    for panel in dashboard["panels"]:
        for target in panel["targets"]:
            names = re.findall(r"\b(?:homelab_llm|process)_\w+", target["expr"])
            assert names, panel["title"]
            asked += len(names)
            assert set(names) <= set(samples), panel["title"]
    assert asked > 15


def test_requests_at_the_same_time_are_all_recorded(loaded):
    threads = [threading.Thread(target=chat, args=(loaded,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = runs(loaded, loaded.model)
    assert len(found) == 8


def rows_in(file: pathlib.Path) -> int:
    database = sqlite3.connect(file)
    try:
        return database.execute("SELECT COUNT(*) FROM performancelog").fetchone()[0]
    finally:
        database.close()


def test_a_run_that_ended_just_before_the_stop_is_on_disk(tmp_path):
    house = House(tmp_path)
    house.load()
    assert chat(house).status_code == 200
    assert house.http.post("/api/generate", json={"prompt": "a", "max_tokens": 3}).status_code == 200
    assert house.server.stop(signal.SIGTERM) == 0
    assert rows_in(tmp_path / "models.db") == 2


def test_a_run_that_the_stop_cuts_is_a_row(tmp_path):
    house = House(tmp_path)
    model = house.load("--hold-after 1")
    with house.http.stream("POST", "/api/generate/stream", json={"prompt": "a", "max_tokens": 4}) as answer:
        lines = answer.iter_lines()  # held: dropping it would close the connection
        next(line for line in lines if '"token"' in line)
        assert house.server.stop(signal.SIGTERM, timeout=60) == 0
    database = sqlite3.connect(tmp_path / "models.db")
    row = database.execute("SELECT model_name, error_occurred, error_code FROM performancelog").fetchall()
    database.close()
    assert row == [(model["model_name"], 1, "unavailable")]


def test_the_logging_switch_survives_a_restart_unless_a_setting_says_otherwise(tmp_path):
    house = House(tmp_path)
    house.http.post("/api/config/logging", json={"enable": False})
    assert house.server.stop() == 0
    house = House(tmp_path)
    assert house.http.get("/api/config/logging").json() == {"performance_logging": False}
    assert house.server.stop() == 0
    house = House(tmp_path, HOMELAB_LLM_LOG_RUNS="on")
    assert house.http.get("/api/config/logging").json() == {"performance_logging": True}
    assert house.server.stop() == 0
    house = House(tmp_path)
    assert house.http.get("/api/config/logging").json() == {"performance_logging": False}
    assert house.server.stop() == 0


def test_only_the_newest_rows_are_kept(tmp_path):
    house = House(tmp_path)
    model = house.load()
    for _ in range(5):
        chat(house)
    assert house.server.stop() == 0
    house = House(tmp_path, HOMELAB_LLM_RUNS_KEEP=2)
    house.wait(lambda: len(runs(house, model)) == 2, "the older rows go")
    summary = house.http.get("/api/analytics/summary", params={"model": model["model_name"]}).json()
    assert summary["groups"][0]["runs"] == 5
    assert house.server.stop() == 0
