"""The backbone with real parts: real model, real engine, real database, files over HTTP from our own hub endpoint."""

import hashlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading

import pytest
import running
from running import GGUF, REPO, Server, command, environment, mirror, until

# A prompt that this model continues for thousands of tokens when it decodes greedily.
LONG = "Once upon a time there was a little village by the sea, and in this village"
COMMIT = "ab810cf68114990406fdf996510dd3d3c6adbdf5"


@pytest.fixture(scope="session")
def hub_root():
    """The model of `make run`, laid out as a hub folder."""
    subprocess.run([running.ROOT / "tools" / "fetch_offline_model.sh"], check=True)
    return running.ROOT / "build" / "offline-hub"


@pytest.fixture(scope="module")
def endpoint(hub_root, tmp_path_factory):
    with mirror(hub_root, tmp_path_factory.mktemp("mirror")) as url:
        yield url


@pytest.fixture(scope="module")
def house(endpoint, tmp_path_factory):
    """A server configured by a .env file, with the model loaded."""
    folder = tmp_path_factory.mktemp("house")
    cache = folder / "hf-cache"
    (folder / ".env").write_text(f'# comment\r\nexport PRIMARY_CACHE_PATH="{cache}"\r\nDATABASE_PATH={folder}/models.db\r\n'
                                 f"HF_ENDPOINT={endpoint}\r\nHOMELAB_LLM_THREADS=1\r\n")
    server = Server(folder, environment(folder / "home"))
    server.cache = cache
    server.model = server.register_and_load()
    yield server
    server.stop()


def test_registration_stores_exactly_the_configured_root(house):
    assert house.model["cache_path"] == str(house.cache)
    assert house.model["cache_location"] == "primary"
    assert house.model["compatibility_status"] == "unknown"


def test_files_are_in_hub_below_the_root_once_and_hashed(house):
    repo = house.cache / "hub" / ("models--" + REPO.replace("/", "--"))
    link = repo / "snapshots" / COMMIT / GGUF
    blob = repo / "blobs" / link.readlink().name
    assert os.readlink(link) == f"../../blobs/{blob.name}"
    assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name
    assert (repo / "refs" / "main").read_text() == COMMIT
    large = [path for path in house.cache.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_size > 1 << 20]
    assert large == [blob]


def test_default_cache_does_not_grow(house):
    assert not (house.folder / "home" / ".cache" / "huggingface").exists()


def test_start_up_output_names_the_cache_and_where_it_was_set(house):
    text = house.log.read_text()
    assert str(house.cache / "hub") in text
    assert ".env" in text and "line 2" in text


def test_python_finds_it_offline_without_a_second_download(house):
    script = ("from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download;"
              f"print(hf_hub_download('{REPO}', '{GGUF}')); print(snapshot_download('{REPO}'));"
              "info = scan_cache_dir(); assert not info.warnings, info.warnings; print(len(info.repos))")
    env = environment(house.folder / "home", HF_HOME=house.cache, HF_HUB_OFFLINE="1")
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert str(house.cache) in done.stdout


def test_status_and_facts_after_the_load(house):
    _, status = house.call("GET", "/api/status")
    assert status["loaded_model"] == "smol"
    _, models = house.call("GET", "/api/models")
    row = next(model for model in models if model["model_name"] == "smol")
    assert row["compatibility_status"] == "compatible"
    assert row["architecture"] == "llama"
    assert 130e6 < row["parameter_count"] < 140e6
    assert row["total_loads"] >= 1
    assert abs(row["model_size_mb"] - 98362432 / 2**20) < 0.1


def test_generate_gives_prompt_and_a_deterministic_continuation(house):
    body = {"prompt": "The capital of France is", "max_tokens": 8, "do_sample": False}
    first = house.call("POST", "/api/generate", body)
    assert first[0] == 200
    assert first[1]["generated_text"].startswith(body["prompt"])
    assert "Paris" in first[1]["generated_text"]
    assert first[1]["output_tokens"] == 8
    assert house.call("POST", "/api/generate", body)[1]["generated_text"] == first[1]["generated_text"]


def test_stream_has_start_tokens_done_and_the_same_text(house):
    body = {"max_tokens": 12, "do_sample": False}
    events = list(house.stream("The capital of France is", **body))
    assert events[0]["type"] == "start" and events[0]["input_tokens"] > 0
    assert {event["type"] for event in events[1:-1]} == {"token"}
    assert events[-1]["type"] == "done" and events[-1]["output_tokens"] == 12
    text = "".join(event["text"] for event in events[1:-1])
    one_shot = house.call("POST", "/api/generate", {"prompt": "The capital of France is", **body})[1]
    assert one_shot["generated_text"] == "The capital of France is" + text


def test_validate_and_health(house):
    status, answer = house.call("GET", "/api/orchestrate/validate")
    assert status == 200 and answer["status"] == "healthy" and answer["test_passed"] is True
    assert house.call("GET", "/health")[1]["status"] == "healthy"


def test_openai_chat_answers(house):
    status, answer = house.call("POST", "/v1/chat/completions", {
        "model": "smol", "temperature": 0, "max_tokens": 24,
        "messages": [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]})
    assert status == 200, answer
    assert "Paris" in answer["choices"][0]["message"]["content"]


def test_performance_rows_are_written(house):
    list(house.stream("Row", max_tokens=3, do_sample=False))

    def rows():
        with sqlite3.connect(house.folder / "models.db") as database:
            return database.execute("select input_tokens, output_tokens, prompt_hash, time_to_first_token_ms "
                                    "from performancelog where prompt_hash = ?",
                                    (hashlib.sha256(b"Row").hexdigest()[:16],)).fetchall()

    until(rows, what="the row")
    assert rows()[0][1] == 3 and rows()[0][3] > 0


def test_killed_engine_ends_the_stream_with_one_error_and_the_next_load_works(house):
    stream = house.stream(LONG, max_tokens=2000, do_sample=False)
    assert next(stream)["type"] == "start"
    assert next(stream)["type"] == "token"
    (pid,) = house.engine_pids()
    os.kill(pid, signal.SIGKILL)
    rest = list(stream)
    errors = [event for event in rest if event["type"] == "error"]
    assert len(errors) == 1 and rest[-1] == errors[0]
    assert "signal 9" in errors[0]["error"]
    assert house.call("GET", "/health")[0] == 200
    until(lambda: house.call("GET", "/api/status")[1]["loaded_model"] is None, what="the loss of the engine")
    status, answer = house.call("POST", "/api/orchestrate/load", {"model_name": "smol"})
    assert status == 200, answer
    assert "Paris" in house.call("POST", "/api/generate", {
        "prompt": "The capital of France is", "max_tokens": 4, "do_sample": False})[1]["generated_text"]


def test_client_that_leaves_stops_its_generation(house):
    stream = house.stream(LONG, max_tokens=4096, do_sample=False)
    next(stream), next(stream)
    stream.close()

    def idle():
        _, jobs = house.call("GET", "/api/orchestrate/validate")
        return jobs["status"] == "healthy"

    until(idle, what="a free engine")


def test_other_requests_are_answered_during_a_stream(house):
    stream = house.stream(LONG, max_tokens=200, do_sample=False)
    next(stream)
    for _ in range(20):
        assert house.call("GET", "/health")[0] == 200
    assert list(stream)[-1]["type"] == "done"


def test_commands_of_a_user(house):
    env = {**house.env, "HOMELAB_LLM_PORT": str(house.port)}
    listed = command(env, house.folder, "ls")
    assert listed.returncode == 0 and "smol" in listed.stdout
    assert "smol" in command(env, house.folder, "ps").stdout
    explained = command(env, house.folder, "explain", "smol")
    assert explained.returncode == 0, explained.stderr
    assert str(house.cache) in explained.stdout and COMMIT in explained.stdout
    answered = command(env, house.folder, "run", "--greedy", "smol", "What is the capital of France? Answer in one sentence.")
    assert answered.returncode == 0, answered.stderr
    assert "Paris" in answered.stdout
    assert command(env, house.folder, "show", "nobody").returncode == 1
    assert command(env, house.folder, "no-such-command").returncode == 2


def test_stop_lets_streams_end_properly_and_leaves_no_engine(endpoint, tmp_path):
    server = Server(tmp_path, environment(tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "cache", HF_ENDPOINT=endpoint))
    server.register_and_load()
    (engine,) = server.engine_pids()
    events = []
    started = threading.Event()

    def read():
        for event in server.stream(LONG, max_tokens=4096, do_sample=False):
            events.append(event)
            started.set()

    reader = threading.Thread(target=read)
    reader.start()
    assert started.wait(30)
    assert server.stop(signal.SIGINT) == 0
    reader.join(20)
    assert events[-1]["type"] in ("done", "error")
    until(lambda: not os.path.exists(f"/proc/{engine}"), what="the end of the engine")


def test_killed_server_takes_its_engine_with_it(endpoint, tmp_path):
    server = Server(tmp_path, environment(tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "cache", HF_ENDPOINT=endpoint))
    server.register_and_load()
    (engine,) = server.engine_pids()
    server.process.kill()
    server.process.wait(10)
    until(lambda: not os.path.exists(f"/proc/{engine}"), what="the end of the engine")


def test_complete_snapshot_written_by_python_is_loaded_without_a_request(endpoint, hub_root, tmp_path):
    env = environment(tmp_path / "home", HF_HOME=tmp_path / "cache", HF_ENDPOINT=endpoint, HF_HUB_DISABLE_XET="1")
    script = f"from huggingface_hub import snapshot_download; snapshot_download('{REPO}')"
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    dead = environment(tmp_path / "home", HF_HOME=tmp_path / "cache", HF_ENDPOINT="http://127.0.0.1:9")
    server = Server(tmp_path, dead)
    try:
        model = server.register_and_load()
        assert model["cache_path"] == str(tmp_path / "cache")
    finally:
        server.stop()


def test_load_killed_in_the_middle_is_booked_at_the_next_start(endpoint, tmp_path):
    env = environment(tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "cache", HF_ENDPOINT=endpoint)
    server = Server(tmp_path, env)
    server.call("POST", "/api/models", {"model_name": "smol", "hf_path": f"{REPO}:Q4_1"})
    database = tmp_path / "models.db"

    def load():
        try:
            server.call("POST", "/api/orchestrate/load", {"model_name": "smol"})
        except OSError:
            pass  # the server is killed while this waits

    waiting = threading.Thread(target=load)
    waiting.start()

    def testing():
        with sqlite3.connect(database) as connection:
            return connection.execute("select compatibility_status from modelregistry").fetchone()[0] == "testing"

    until(testing, what="the row's testing state")
    server.process.kill()
    server.process.wait(10)
    waiting.join(10)
    again = Server(tmp_path, env)
    try:
        _, (row,) = again.call("GET", "/api/models")
        assert row["compatibility_status"] == "incompatible"
        assert row["compatibility_notes"].startswith("[")
        assert again.call("POST", "/api/orchestrate/load", {"model_name": "smol"})[0] == 400
        assert again.call("POST", "/api/orchestrate/load", {"model_name": "smol", "force_load": True})[0] == 200
        _, (row,) = again.call("GET", "/api/models")
        assert row["compatibility_status"] == "compatible"
    finally:
        again.stop()
