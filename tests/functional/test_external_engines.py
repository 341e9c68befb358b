"""Engines that are not ours, with real second programs: another house of ours, and the genuine llama-server."""

import json
import os
import pathlib
import shutil
import signal
import subprocess

import openai
import pytest
import running
from running import Server, command, environment, until

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
LLAMA_SERVER = running.PROGRAM.parent / "llama-server"
REPO_FOLDER = "models--" + running.REPO.replace("/", "--")


@pytest.fixture(scope="module")
def offline_hub():
    """The model of `make run`, in a cache."""
    subprocess.run([running.ROOT / "tools" / "fetch_offline_model.sh"], check=True)
    return running.ROOT / "build/offline-hub/hub"


@pytest.fixture(scope="module")
def model_file(offline_hub):
    return next(offline_hub.glob(f"models--*/snapshots/*/{running.GGUF}"))


class House:
    """A server with a folder of its own, started again and again."""

    def __init__(self, folder: pathlib.Path, **settings):
        folder.mkdir()
        self.folder = folder
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=folder / "cache", DATABASE_PATH=folder / "models.db",
                               HOMELAB_LLM_THREADS=1, HOMELAB_LLM_CONTEXT=1024, HOMELAB_LLM_SLOTS=1, HF_HUB_OFFLINE="1",
                               **settings)
        self.server = None

    def start(self, *arguments):
        self.server = Server(self.folder, self.env, *arguments)
        return self.server

    def run(self, *arguments):
        done = command(self.env, self.folder, *arguments, "--port", self.server.port)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def client(self):
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.server.port}/v1", api_key="any", max_retries=0)

    def stop(self):
        if self.server is not None:
            self.server.stop()


def rows_of(house, name):
    """Performance rows of a model."""
    import sqlite3

    with sqlite3.connect(house.folder / "models.db") as database:
        return database.execute(
            "SELECT p.output_tokens, p.time_to_first_token_ms, p.model_device, p.endpoint FROM performancelog p "
            "JOIN modelregistry m ON m.id = p.model_registry_id WHERE m.model_name = ? ORDER BY p.id", [name]).fetchall()


# ------------------------------------------------------------------------------------------ another house


@pytest.fixture
def houses(model_file, tmp_path):
    near, far = House(tmp_path / "near"), House(tmp_path / "far")
    far.start()
    far.run("register", "smol", model_file)
    near.start()
    yield near, far
    near.stop()
    far.stop()


def test_a_model_of_another_house_is_used_like_one_of_ours(houses):
    near, far = houses
    url = f"http://127.0.0.1:{far.server.port}"
    near.run("register", "away", "smol", "--engine-url", url + "/v1/")
    near.run("load", "away")
    engines = near.server.call("GET", "/api/engines")[1]["engines"]
    assert [(engine["model_name"], engine["url"], engine["process"]) for engine in engines] == [("away", url, 0)]
    assert url in near.run("ps") and url in near.run("explain", "away")
    assert near.server.call("GET", "/api/explain?model=away")[1]["model"]["engine"]["url"] == url

    with near.client() as client:
        answer = client.chat.completions.create(model="away", messages=QUESTION, temperature=0, max_tokens=20)
        assert "Paris" in answer.choices[0].message.content
        stream = client.chat.completions.create(model="away", messages=QUESTION, temperature=0, max_tokens=20, stream=True)
        assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
    answer = near.server.call("POST", "/api/generate", {"prompt": "The capital of France is", "max_tokens": 8, "do_sample": False})
    assert answer[0] == 200 and "Paris" in answer[1]["generated_text"]
    assert answer[1]["input_tokens"] == 5 and answer[1]["output_tokens"] == 8
    events = list(near.server.stream("The capital of France is", max_tokens=8, do_sample=False))
    assert [events[0]["type"], events[-1]["type"]] == ["start", "done"]
    assert events[-1]["output_tokens"] == 8 and events[-1]["ttft_ms"] > 0
    assert near.server.call("GET", "/api/orchestrate/validate")[1]["status"] == "healthy"

    until(lambda: len(rows_of(near, "away")) == 4, what="a row of every run")
    rows = rows_of(near, "away")
    assert [row[-1] for row in rows] == 2 * ["/v1/chat/completions"] + ["/api/generate", "/api/generate/stream"]
    assert all(tokens == 8 and first > 0 for tokens, first, _, _ in rows[2:])
    assert all(tokens > 0 and device == "external" for tokens, _, device, _ in rows)
    near.run("unload")
    assert near.server.call("GET", "/api/engines")[1]["engines"] == []
    assert far.server.call("GET", "/api/engines")[1]["engines"] != [], "it is the other house's own affair"


def test_a_house_that_goes_is_noticed_and_used_again_when_it_is_back(houses):
    near, far = houses
    near.run("register", "away", "smol", "--engine-url", f"http://127.0.0.1:{far.server.port}")
    near.run("load", "away")
    port = far.server.port
    far.stop()
    until(lambda: near.server.call("GET", "/api/engines")[1]["engines"] == [], seconds=60, what="the loss")
    with near.client() as client, pytest.raises(openai.InternalServerError) as refused:
        client.chat.completions.create(model="away", messages=QUESTION, max_tokens=5)
    assert refused.value.status_code == 503 and int(refused.value.response.headers["retry-after"]) > 0
    assert f"127.0.0.1:{port}" in refused.value.message

    far.server = Server(far.folder, far.env, port=port)
    near.run("load", "away")
    with near.client() as client:
        assert client.completions.create(model="away", prompt="Once", max_tokens=2).choices[0].text
    assert near.server.call("GET", "/api/models")[1][0]["compatibility_status"] == "compatible"


def test_what_cannot_be_registered(houses):
    near, _ = houses
    for engine in ({"url": "http://me:secret@nas"}, {"url": "ftp://nas"}, {"command": ["touch", "pwned"]}, "vllm", 7,
                   {"url": "http://nas", "api_key_env": "HF_TOKEN"}):
        status, answer = near.server.call("POST", "/api/models", {"model_name": "x", "hf_path": "a/b", "engine": engine})
        assert status == 422 and "secret" not in json.dumps(answer["detail"][0]["msg"]), answer
    done = command(near.env, near.folder, "register", "x", "a/b", "--engine-name", "vllm", "--port", near.server.port)
    assert done.returncode != 0 and "vllm" in done.stderr
    assert near.server.call("GET", "/api/models")[1] == []


# ------------------------------------------------------------------------------------------ llama-server


@pytest.fixture
def with_llama_server(offline_hub, tmp_path):
    """A house whose engines file knows the genuine llama-server, and whose cache has the model."""
    assert LLAMA_SERVER.exists(), f"{LLAMA_SERVER} is missing: build the target llama-server"
    (tmp_path / "engines.json").write_text(json.dumps({
        # It looks for its back ends in the working directory.
        "llama-server": {"command": ["env", "-C", str(LLAMA_SERVER.parent.parent / "lib/engine"), str(LLAMA_SERVER), "-m", "{file}", "--alias", "{name}", "--host", "{host}",
                                     "--port", "{port}", "-c", "{context}", "-np", "1", "-t", "{threads}"], "threads": 1},
        "broken": {"command": [str(LLAMA_SERVER), "-m", "{file}", "--no-such-option", "{port}"]},
    }))  # fmt: skip
    os.chmod(tmp_path / "engines.json", 0o600)
    house = House(tmp_path / "house", HOMELAB_LLM_ENGINES_FILE=tmp_path / "engines.json")
    shutil.copytree(next(offline_hub.glob(REPO_FOLDER)), house.folder / "cache/hub" / REPO_FOLDER, symlinks=True)
    house.start()
    yield house
    house.stop()


def test_llama_server_runs_a_model_of_our_cache(with_llama_server):
    house = with_llama_server
    house.run("register", "smol", f"{running.REPO}:Q4_1", "--engine-name", "llama-server")
    house.run("load", "smol")
    (engine,) = house.server.call("GET", "/api/engines")[1]["engines"]
    assert engine["engine"] == "llama-server" and engine["commit"] and engine["resident_bytes"] > 50_000_000
    variables = pathlib.Path(f"/proc/{engine['process']}/environ").read_bytes().split(b"\0")
    assert f"HF_HUB_CACHE={house.folder}/cache/hub".encode() in variables
    assert f"HF_HOME={house.folder}/cache".encode() in variables
    assert b"HF_HUB_OFFLINE=1" in variables

    with house.client() as client:
        answer = client.chat.completions.create(model="smol", messages=QUESTION, temperature=0, max_tokens=20)
        assert "Paris" in answer.choices[0].message.content and answer.model == "smol"
    answer = house.server.call("POST", "/api/generate", {"prompt": "The capital of France is", "max_tokens": 8, "do_sample": False})
    assert "Paris" in answer[1]["generated_text"] and answer[1]["output_tokens"] == 8
    assert house.server.call("POST", "/tokenize", {"content": "Hello"})[1]["tokens"]

    os.kill(engine["process"], signal.SIGKILL)
    until(lambda: house.server.call("GET", "/api/engines")[1]["engines"] == [], what="the death")
    house.run("load", "smol")
    (again,) = house.server.call("GET", "/api/engines")[1]["engines"]
    assert again["process"] != engine["process"]
    house.run("unload")
    assert not pathlib.Path(f"/proc/{again['process']}").exists()


def test_llama_servers_own_last_words_are_shown(with_llama_server):
    house = with_llama_server
    house.run("register", "smol", f"{running.REPO}:Q4_1", "--engine-name", "broken")
    status, answer = house.server.call("POST", "/api/orchestrate/load", {"model_name": "smol"})
    assert status == 500 and "no-such-option" in answer["detail"], answer
    assert house.server.call("GET", "/api/models")[1][0]["compatibility_status"] == "unknown"


def test_the_program_ends_with_a_server_that_is_killed(with_llama_server):
    house = with_llama_server
    house.run("register", "smol", f"{running.REPO}:Q4_1", "--engine-name", "llama-server")
    house.run("load", "smol")
    (engine,) = house.server.call("GET", "/api/engines")[1]["engines"]
    house.server.stop(signal.SIGKILL)
    until(lambda: not pathlib.Path(f"/proc/{engine['process']}").exists(), what="the end of llama-server")


def test_an_engines_file_that_is_wrong_stops_the_start(tmp_path):
    file = tmp_path / "engines.json"
    env = environment(tmp_path / "home", PRIMARY_CACHE_PATH=tmp_path / "cache", DATABASE_PATH=tmp_path / "models.db",
                      HOMELAB_LLM_ENGINES_FILE=file)
    for text, mode, complaint in (('{"x": {"command": ["vllm"]}}', 0o600, "{port}"), ("{", 0o600, "engines.json"),
                                  ("{}", 0o666, "chmod o-w")):  # fmt: skip
        file.write_text(text)
        os.chmod(file, mode)
        done = command(env, tmp_path, "serve", "--port", "0")
        assert done.returncode == 1 and complaint in done.stderr, done.stderr
