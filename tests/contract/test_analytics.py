"""Contract §2.3 (metadata), §2.7 (analytics), and the route for one model that the original lacked."""

import pytest

NUMBERS = ["mmlu_score", "gpqa_score", "hellaswag_score", "humaneval_score", "mbpp_score", "math_score",
           "truthfulqa_score", "perplexity", "max_throughput_tokens_sec", "avg_latency_ms"]
COLUMNS = {"id", "timestamp", "model_registry_id", "model_version", "input_tokens", "output_tokens", "total_tokens",
           "total_inference_ms", "time_to_first_token_ms", "tokens_per_second", "gpu_mem_peak_alloc_mb",
           "gpu_mem_reserved_mb", "cpu_mem_rss_mb", "gpu_utilization_percent", "gpu_temperature_celsius",
           "gpu_power_watts", "cpu_utilization_percent", "system_load_1min", "temperature", "top_p", "top_k",
           "do_sample", "max_new_tokens", "prompt_hash", "repetition_detected", "error_occurred", "error_message",
           "model_dtype", "model_device", "quantization"}


def metadata(house, name, body):
    return house.http.patch(f"/api/models/{name}/metadata", json=body)


def test_one_model(house):
    model = house.register(model_name="one of many")
    assert house.http.get("/api/models/one%20of%20many").json() == model
    answer = house.http.get("/api/models/nobody")
    assert answer.status_code == 404 and "nobody" in answer.json()["detail"]


def test_metadata_writes_what_is_there_and_null_clears(house):
    name = house.register()["model_name"]
    everything = {field: i + 0.5 for i, field in enumerate(NUMBERS)} | {"quantization": "GPTQ 4-bit"}
    answer = metadata(house, name, everything)
    assert answer.status_code == 200
    assert everything.items() <= answer.json().items()
    cleared = metadata(house, name, {"mmlu_score": None, "quantization": None, "perplexity": 150}).json()
    assert (cleared["mmlu_score"], cleared["quantization"], cleared["perplexity"]) == (None, None, 150)
    assert cleared["gpqa_score"] == everything["gpqa_score"]
    assert metadata(house, name, {}).json() == cleared


@pytest.mark.parametrize("text", ["Infinity", "-Infinity", "NaN", '"inf"', "1e999", '"x"', "[]"])
def test_a_number_that_is_none_is_refused_and_the_list_stays_readable(house, text):
    name = house.register()["model_name"]
    answer = house.http.patch(f"/api/models/{name}/metadata", content=f'{{"mmlu_score": {text}}}',
                              headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert house.http.get("/api/models").status_code == 200
    assert house.http.get(f"/api/models/{name}").json()["mmlu_score"] is None


def test_metadata_of_an_unknown_model(house):
    assert metadata(house, "nobody", {"mmlu_score": 1}).status_code == 404
    assert metadata(house, house.register()["model_name"], {"quantization": 4}).status_code == 422


def test_before_the_first_generation_there_are_no_averages_but_an_empty_list(house):
    name = house.register()["model_name"]
    unknown, none_yet = (house.http.get(f"/api/analytics/performance/{n}") for n in ("nobody", name))
    assert unknown.status_code == none_yet.status_code == 404
    assert unknown.json()["detail"] != none_yet.json()["detail"]
    assert house.http.get(f"/api/analytics/logs/{name}").json() == {"model_name": name, "logs": [], "count": 0}
    assert house.http.get("/api/analytics/logs/nobody").status_code == 404


def test_each_generation_is_in_the_list_and_in_the_averages(loaded):
    name = loaded.model["model_name"]
    before = loaded.http.get(f"/api/analytics/logs/{name}?limit=-1").json()["count"]
    generated = [loaded.http.post("/api/generate", json={"prompt": prompt, "max_tokens": 4}).json()
                 for prompt in ("one", "two")]
    stream = loaded.http.post("/api/generate/stream", json={"prompt": "three", "max_tokens": 4}).text
    assert '"done"' in stream
    logs = loaded.http.get(f"/api/analytics/logs/%20{name}%20?limit=3").json()
    assert logs["model_name"] == name and logs["count"] == len(logs["logs"]) == 3
    assert all(set(row) == COLUMNS for row in logs["logs"])
    assert [row["timestamp"] for row in logs["logs"]] == sorted((row["timestamp"] for row in logs["logs"]),
                                                                reverse=True)
    for row, answer in zip(reversed(logs["logs"][1:]), generated):
        assert row["output_tokens"] == answer["output_tokens"]
        assert row["total_tokens"] == row["input_tokens"] + row["output_tokens"]
        assert row["model_registry_id"] == loaded.model["id"]
        assert row["error_occurred"] is False
    averages = loaded.http.get(f"/api/analytics/performance/{name}").json()
    assert list(averages) == ["total_inferences", "avg_input_tokens", "avg_output_tokens", "avg_inference_ms",
                              "avg_tokens_per_second", "avg_gpu_mem_mb", "avg_cpu_mem_mb"]
    everything = loaded.http.get(f"/api/analytics/logs/{name}?limit=-1").json()["logs"]
    assert len(everything) == before + 3
    good = [row for row in everything if not row["error_occurred"]]
    assert averages["total_inferences"] == len(good)
    assert averages["avg_output_tokens"] == pytest.approx(sum(row["output_tokens"] for row in good) / len(good))
    assert averages["avg_gpu_mem_mb"] is None


@pytest.mark.parametrize("limit", [0, 1])
def test_the_limit_bounds_the_list(loaded, limit):
    name = loaded.model["model_name"]
    loaded.http.post("/api/generate", json={"prompt": "a", "max_tokens": 2})
    assert loaded.http.get(f"/api/analytics/logs/{name}?limit={limit}").json()["count"] == limit


@pytest.mark.parametrize("limit", ["x", "", "1.5"])
def test_the_limit_is_a_whole_number(loaded, limit):
    answer = loaded.http.get(f"/api/analytics/logs/{loaded.model['model_name']}?limit={limit}")
    assert answer.status_code == 422
    assert answer.json()["detail"][0]["loc"] == ["query", "limit"]
