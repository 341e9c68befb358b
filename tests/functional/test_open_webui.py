"""Open WebUI's calls, recorded once from the real program, replayed against the real server, engine and model.

open_webui_requests.json has what Open WebUI 0.12.4 sent over its three kinds of connection while somebody used it: lists,
a chat, a title for it, documents, loading and unloading. Here stands what it needs in the answers (docs/clients.md).
"""

import datetime
import json
import pathlib
import subprocess

import gguf
import httpx
import pytest
import running
from gguf.scripts.gguf_new_metadata import MetadataDetails, copy_with_new_metadata
from running import Server, environment, until

RECORDED = json.loads((pathlib.Path(__file__).parent / "open_webui_requests.json").read_text())["requests"]
MEAN_POOLING = 1


def embedder_of(model: pathlib.Path, path: pathlib.Path) -> pathlib.Path:
    """The chat's model as one that gives embeddings: its header says so."""
    writer = gguf.GGUFWriter(path, "llama")
    pooling = MetadataDetails(gguf.GGUFValueType.UINT32, MEAN_POOLING)
    copy_with_new_metadata(gguf.GGUFReader(model), writer, {"llama.pooling_type": pooling}, [])
    return path


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    subprocess.run([running.ROOT / "tools" / "fetch_offline_model.sh"], check=True)
    model = next((running.ROOT / "build/offline-hub/hub").glob(f"models--*/snapshots/*/{running.GGUF}"))
    folder = tmp_path_factory.mktemp("open-webui")
    server = Server(folder, environment(
        folder / "home", PRIMARY_CACHE_PATH=folder / "cache", DATABASE_PATH=folder / "models.db",
        HOMELAB_LLM_THREADS=1, HOMELAB_LLM_CONTEXT=1024, HOMELAB_LLM_SLOTS=2))
    for name, path in (("smol", model), ("embedder", embedder_of(model, folder / "embedder.gguf"))):
        status, answer = server.call("POST", "/api/models", {"model_name": name, "hf_path": str(path)})
        assert status == 201, answer
    yield server
    server.stop()


@pytest.fixture(scope="module")
def replay(house):
    """Sends the recorded request of that name; the answer is open."""
    requests = {request["call"]: request for request in RECORDED}
    with httpx.Client(base_url=f"http://127.0.0.1:{house.port}", timeout=300, trust_env=False) as client:

        def send(call: str):
            request = requests[call]
            content = json.dumps(request["body"]) if "body" in request else None
            return client.stream(request["method"], request["path"], headers=request["headers"], content=content)

        yield send


def whole(replay, call: str):
    with replay(call) as answer:
        answer.read()
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("application/json")
        return answer.json()


def test_every_recorded_call_is_replayed_here():
    text = pathlib.Path(__file__).read_text()
    assert len(RECORDED) == 20
    for request in RECORDED:
        kind, what = request["call"].split(": ")
        assert f'"{request["call"]}"' in text or f'"{what}"' in text, request["call"]


# ---------------------------------------------------------------------------------------------- OpenAI


@pytest.mark.parametrize("call", ["openai: check the connection", "openai: list", "llama.cpp: list"])
def test_the_list_has_ids_and_states(replay, call):
    models = whole(replay, call)["data"]
    assert [model["id"] for model in models] == ["smol", "embedder"]
    assert {model["status"]["value"] for model in models} <= {"loaded", "unloaded", "loading"}


def test_a_chat_is_streamed_with_usage(replay):
    with replay("openai: chat") as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        lines = [line for line in answer.iter_lines() if line.startswith("data: ")]
    assert lines.pop() == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert choices[0]["delta"]["role"] == "assistant"
    assert "Paris" in "".join(choice["delta"].get("content") or "" for choice in choices)
    assert choices[-1]["finish_reason"] == "stop"
    assert chunks[-1]["usage"]["prompt_tokens"] > 0 and chunks[-1]["usage"]["completion_tokens"] > 0


@pytest.mark.parametrize("what", ["title", "emoji"])
def test_small_tasks_are_answered_whole(replay, what):
    answer = whole(replay, f"openai: {what}")
    assert answer["choices"][0]["message"]["content"].strip()
    assert answer["choices"][0]["finish_reason"] in ("stop", "length")
    answer = whole(replay, f"ollama: {what}")
    assert answer["message"]["content"].strip() and answer["done"] and answer["done_reason"] in ("stop", "length")


@pytest.mark.parametrize("what, count", [("embed a document", 1), ("embed several texts", 2)])
def test_texts_become_vectors_in_their_order(replay, what, count):
    data = whole(replay, f"openai: {what}")["data"]
    assert [entry["index"] for entry in data] == list(range(count))
    assert {len(entry["embedding"]) for entry in data} == {576}


# ---------------------------------------------------------------------------------------------- llama.cpp


def test_models_are_loaded_and_unloaded_and_the_page_hears_of_it(replay):
    def state():
        return {model["id"]: model["status"]["value"] for model in whole(replay, "llama.cpp: list")["data"]}["smol"]

    if state() == "loaded":
        assert whole(replay, "llama.cpp: unload") == {"success": True}
    with replay("llama.cpp: events") as answer:
        assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
        lines = answer.iter_lines()

        def status():
            return json.loads(next(line for line in lines if line.startswith("data: ")).removeprefix("data: "))["data"]["status"]

        assert whole(replay, "llama.cpp: load") == {"success": True}
        assert [status(), status()] == ["loading", "loaded"]
        assert state() == "loaded"
        assert whole(replay, "llama.cpp: unload") == {"success": True}
        assert status() == "unloaded"
    assert state() == "unloaded"


# ---------------------------------------------------------------------------------------------- Ollama


def test_ollamas_version_can_be_compared(replay):
    version = whole(replay, "ollama: check the connection")["version"]
    assert len([int(part) for part in version.split(".")]) == 3


def test_ollamas_list_has_what_the_page_shows(replay):
    models = whole(replay, "ollama: list")["models"]
    assert [(model["model"], model["name"]) for model in models] == [("smol", "smol"), ("embedder", "embedder")]
    assert all({"size", "digest", "details", "modified_at"} <= model.keys() for model in models)
    assert whole(replay, "ollama: show")["model_info"]["general.architecture"] == "llama"


def test_a_chat_over_ollama_is_lines_of_json(replay):
    with replay("ollama: chat") as answer:
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/x-ndjson"
        lines = [json.loads(line) for line in answer.iter_lines()]
    assert "Paris" in "".join(line["message"]["content"] for line in lines)
    assert [line["done"] for line in lines] == [False] * (len(lines) - 1) + [True]
    last = lines[-1]
    assert last["done_reason"] == "stop"
    assert last["prompt_eval_count"] > 0 and last["eval_count"] > 0 and last["eval_duration"] > 0


def test_loaded_models_have_a_time_and_go_when_told(house, replay):
    whole(replay, "ollama: title")
    running_models = {model["model"]: model for model in whole(replay, "ollama: loaded")["models"]}
    expires = datetime.datetime.fromisoformat(running_models["smol"]["expires_at"])
    assert expires > datetime.datetime.now(datetime.UTC)
    assert whole(replay, "ollama: unload")["done_reason"] == "unload"
    until(lambda: "smol" not in [model["model"] for model in whole(replay, "ollama: loaded")["models"]])


def test_ollamas_embeddings_are_lists_of_numbers(replay):
    vectors = whole(replay, "ollama: embed a document")["embeddings"]
    assert [len(vector) for vector in vectors] == [576]
