"""Unmodified clients of other dialects against the real server, engine and model: openai, anthropic, ollama."""

import json
import subprocess

import anthropic
import ollama
import openai
import pytest
import running
from running import Server, environment, until

QUESTION = [{"role": "user", "content": "What is the capital of France? Answer in one sentence."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}


@pytest.fixture(scope="module")
def model_file():
    """The model of `make run`."""
    subprocess.run([running.ROOT / "tools" / "fetch_offline_model.sh"], check=True)
    return next((running.ROOT / "build/offline-hub/hub").glob(f"models--*/snapshots/*/{running.GGUF}"))


@pytest.fixture(scope="module")
def house(model_file, tmp_path_factory):
    """A server with two registered models and none loaded; the second is the same file under another name."""
    folder = tmp_path_factory.mktemp("clients")
    env = environment(folder / "home", PRIMARY_CACHE_PATH=folder / "cache", DATABASE_PATH=folder / "models.db",
                      HOMELAB_LLM_THREADS=1, HOMELAB_LLM_CONTEXT=1024, HOMELAB_LLM_SLOTS=2)
    server = Server(folder, env)
    for name in ("smol", "other"):
        status, answer = server.call("POST", "/api/models", {"model_name": name, "hf_path": str(model_file)})
        assert status == 201, answer
    yield server
    server.stop()


def loaded(house) -> list[str]:
    return [engine["model_name"] for engine in house.call("GET", "/api/engines")[1]["engines"]]


@pytest.fixture(scope="module")
def openai_client(house):
    with openai.OpenAI(base_url=f"http://127.0.0.1:{house.port}/v1", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def anthropic_client(house):
    with anthropic.Anthropic(base_url=f"http://127.0.0.1:{house.port}", api_key="any", max_retries=0) as client:
        yield client


@pytest.fixture(scope="module")
def ollama_client(house):
    return ollama.Client(host=f"http://127.0.0.1:{house.port}/ollama")


# ---------------------------------------------------------------------------------------------- openai


def test_openai_chat_loads_the_model_it_names(house, openai_client):
    answer = openai_client.chat.completions.create(model="smol", messages=QUESTION, temperature=0, max_tokens=20)
    assert "Paris" in answer.choices[0].message.content
    assert answer.usage.prompt_tokens > 0 and answer.usage.completion_tokens > 0
    assert "smol" in loaded(house)


def test_openai_streams_with_usage(openai_client):
    stream = openai_client.chat.completions.create(
        model="smol", messages=QUESTION, temperature=0, max_tokens=20, stream=True,
        stream_options={"include_usage": True},
    )  # fmt: skip
    chunks = list(stream)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "Paris" in text
    assert chunks[-1].usage.completion_tokens > 0


def test_openai_structured_output_and_logprobs(openai_client):
    answer = openai_client.chat.completions.create(
        model="smol", messages=QUESTION, temperature=0, max_tokens=40, logprobs=True, top_logprobs=2,
        response_format={"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
    )  # fmt: skip
    assert "city" in json.loads(answer.choices[0].message.content)
    assert len(answer.choices[0].logprobs.content[0].top_logprobs) == 2


def test_openai_two_models_are_loaded_beside_each_other(house, openai_client):
    for name in ("smol", "other"):
        answer = openai_client.completions.create(model=name, prompt="Once upon a time", max_tokens=4, temperature=0)
        assert answer.choices[0].text
    assert loaded(house) == ["other", "smol"]
    assert house.call("GET", "/api/status")[1]["loaded_model"] == "smol"


def test_openai_unknown_model_is_its_own_exception(openai_client):
    with pytest.raises(openai.NotFoundError, match="not registered"):
        openai_client.chat.completions.create(model="nobody", messages=QUESTION)


def test_openai_embeddings_of_a_chat_model_say_why_not(openai_client):
    with pytest.raises(openai.APIStatusError, match="embeddings"):
        openai_client.embeddings.create(model="smol", input="text")


def test_openai_responses(openai_client):
    answer = openai_client.responses.create(model="smol", input=QUESTION[0]["content"], temperature=0, max_output_tokens=20)
    assert "Paris" in answer.output_text


def test_langchain_chats_over_the_same_api(house):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url=f"http://127.0.0.1:{house.port}/v1", api_key="any", model="smol", temperature=0, max_tokens=20)
    assert "Paris" in model.invoke(QUESTION[0]["content"]).content
    assert "Paris" in "".join(piece.content for piece in model.stream(QUESTION[0]["content"]))


# ---------------------------------------------------------------------------------------------- anthropic


GREEDY = {"temperature": 0}


def test_anthropic_messages(anthropic_client):
    answer = anthropic_client.messages.create(model="smol", messages=QUESTION, max_tokens=20, extra_body=GREEDY)
    assert "Paris" in answer.content[0].text
    assert answer.usage.input_tokens > 0 and answer.usage.output_tokens > 0


def test_anthropic_stream(anthropic_client):
    with anthropic_client.messages.stream(model="smol", messages=QUESTION, max_tokens=20, extra_body=GREEDY) as stream:
        assert "Paris" in "".join(stream.text_stream)


def test_anthropic_counts_tokens(anthropic_client):
    assert anthropic_client.messages.count_tokens(model="smol", messages=QUESTION).input_tokens > 5


# ---------------------------------------------------------------------------------------------- ollama

OPTIONS = {"temperature": 0, "num_predict": 20}


def test_ollama_lists_and_shows(ollama_client):
    assert [model.model for model in ollama_client.list().models] == ["smol", "other"]
    shown = ollama_client.show("smol:latest")
    assert shown.modelinfo["general.architecture"] == "llama"
    assert shown.capabilities == ["completion"]


def test_ollama_chat(ollama_client):
    answer = ollama_client.chat("smol", messages=QUESTION, options=OPTIONS)
    assert "Paris" in answer.message.content
    assert answer.done and answer.done_reason == "stop"
    assert answer.eval_count > 0 and answer.eval_duration > 0 and answer.prompt_eval_count > 0


def test_ollama_chat_stream(ollama_client):
    pieces = list(ollama_client.chat("smol", messages=QUESTION, options=OPTIONS, stream=True))
    assert len(pieces) > 3
    assert "Paris" in "".join(piece.message.content for piece in pieces)
    assert [piece.done for piece in pieces] == [False] * (len(pieces) - 1) + [True]


def test_ollama_generate_raw_and_with_a_template(ollama_client):
    assert "Paris" in ollama_client.generate("smol", QUESTION[0]["content"], options=OPTIONS).response
    raw = ollama_client.generate("smol", "The capital of France is", raw=True, options=OPTIONS, stream=True)
    assert "Paris" in "".join(piece.response for piece in raw)


def test_ollama_a_limit_is_named_as_the_reason(ollama_client):
    answer = ollama_client.generate("smol", "Tell me a long story.", options={"temperature": 0, "num_predict": 3})
    assert answer.done_reason == "length" and answer.eval_count == 3


def test_ollama_structured_output(ollama_client):
    answer = ollama_client.chat("smol", messages=QUESTION, format=SCHEMA, options={"temperature": 0, "num_predict": 40})
    assert "city" in json.loads(answer.message.content)


def test_ollama_errors_are_its_own(ollama_client):
    with pytest.raises(ollama.ResponseError, match="not registered") as error:
        ollama_client.chat("nobody", messages=QUESTION)
    assert error.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="embeddings"):
        ollama_client.embed("smol", "text")


def test_ollama_keep_alive_nothing_unloads(house, ollama_client):
    assert ollama_client.generate("other").done_reason == "load"
    assert "other" in [model.model for model in ollama_client.ps().models]
    assert ollama_client.generate("other", keep_alive=0).done_reason == "unload"
    until(lambda: "other" not in loaded(house))
    ollama_client.generate("other", "Hello", keep_alive=0, options={"num_predict": 2})
    until(lambda: "other" not in loaded(house))
