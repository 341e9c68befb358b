"""Unmodified clients and a server that shows every millisecond that it is alive: nobody may stumble over that."""

import subprocess

import anthropic
import httpx
import ollama
import openai
import pytest
import running
from running import Server, environment

# Long enough for a prefill of many milliseconds.
EXAMPLE = [{"role": "user", "content": "What is the capital of Italy? Answer in one sentence."},
           {"role": "assistant", "content": "The capital of Italy is Rome."}]  # fmt: skip
QUESTION = "What is the capital of France? Answer in one sentence."
TALK = [*EXAMPLE * 5, {"role": "user", "content": QUESTION}]
TEXT = "The capital of Italy is Rome. " * 15 + QUESTION


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """One model that works, and one whose file is damaged: its load fails, but not before the first sign of life."""
    subprocess.run([running.ROOT / "tools" / "fetch_offline_model.sh"], check=True)
    model = next((running.ROOT / "build/offline-hub/hub").glob(f"models--*/snapshots/*/{running.GGUF}"))
    folder = tmp_path_factory.mktemp("pings")
    damaged = folder / "damaged.gguf"
    damaged.write_bytes(model.read_bytes()[:10_000_000])
    server = Server(folder, environment(
        folder / "home", PRIMARY_CACHE_PATH=folder / "cache", DATABASE_PATH=folder / "models.db",
        HOMELAB_LLM_PING_MS=1, HOMELAB_LLM_THREADS=1, HOMELAB_LLM_CONTEXT=1024, HOMELAB_LLM_SLOTS=2))
    for name, path in (("smol", model), ("damaged", damaged)):
        status, answer = server.call("POST", "/api/models", {"model_name": name, "hf_path": str(path)})
        assert status == 201, answer
    yield server
    server.stop()


@pytest.fixture
def damaged(house):
    """A failed load is left alone for a while, and told at once: only the first failure comes after signs of life."""
    status, models = house.call("GET", "/api/models")
    assert status == 200
    file = next(model["hf_path"] for model in models if model["model_name"] == "damaged")
    name = f"damaged-{len(models)}"
    status, answer = house.call("POST", "/api/models", {"model_name": name, "hf_path": file})
    assert status == 201, answer
    return name


@pytest.fixture(scope="module")
def url(house):
    return f"http://127.0.0.1:{house.port}"


@pytest.mark.parametrize("path, body, ping", [
    ("/v1/chat/completions", {"messages": TALK, "max_tokens": 4}, ": ping"),
    ("/v1/messages", {"messages": TALK, "max_tokens": 4}, "event: ping"),
    ("/api/generate/stream", {"prompt": TEXT, "max_tokens": 4}, ": ping"),
])  # fmt: skip
def test_there_are_signs_of_life(url, path, body, ping):
    with httpx.stream("POST", url + path, json={**body, "model": "smol", "stream": True}, timeout=300) as answer:
        assert ping in list(answer.iter_lines())


def test_openai_reads_its_streams(url):
    with openai.OpenAI(base_url=url + "/v1", api_key="any", max_retries=0) as client:
        chunks = client.chat.completions.create(model="smol", messages=TALK, temperature=0, max_tokens=20, stream=True)
        assert "Paris" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        events = list(client.responses.create(model="smol", input=TEXT, temperature=0, max_output_tokens=20, stream=True))
        assert "Paris" in events[-1].response.output_text
        texts = client.completions.create(model="smol", prompt="Once", max_tokens=4, stream=True)
        assert "".join(text.choices[0].text for text in texts if text.choices)


def test_anthropic_reads_its_stream(url):
    with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0) as client:
        with client.messages.stream(model="smol", messages=TALK, max_tokens=20, extra_body={"temperature": 0}) as stream:
            assert "Paris" in "".join(stream.text_stream)
            assert stream.get_final_message().usage.output_tokens > 0


def test_ollama_reads_its_lines(url):
    client = ollama.Client(host=url + "/ollama")
    options = {"temperature": 0, "num_predict": 20}
    chat = list(client.chat("smol", messages=TALK, options=options, stream=True))
    assert "Paris" in "".join(piece.message.content for piece in chat) and chat[-1].done
    text = list(client.generate("smol", TEXT, options=options, stream=True))
    assert "Paris" in "".join(piece.response for piece in text) and text[-1].eval_count > 0


def test_langchain_reads_its_stream(url):
    from langchain_openai import ChatOpenAI

    model = ChatOpenAI(base_url=url + "/v1", api_key="any", model="smol", temperature=0, max_tokens=20)
    assert "Paris" in "".join(piece.content for piece in model.stream(TEXT))


def test_openai_raises_what_went_wrong_after_the_first_of_them(url, damaged):
    with openai.OpenAI(base_url=url + "/v1", api_key="any", max_retries=0) as client:
        with pytest.raises(openai.APIError, match="damaged"):
            list(client.chat.completions.create(model=damaged, messages=TALK, stream=True))


def test_anthropic_raises_it_too(url, damaged):
    with anthropic.Anthropic(base_url=url, api_key="any", max_retries=0) as client:
        with pytest.raises(anthropic.APIError, match="damaged"):
            with client.messages.stream(model=damaged, messages=TALK, max_tokens=4) as stream:
                list(stream.text_stream)


def test_ollama_raises_it_too(url, damaged):
    with pytest.raises(ollama.ResponseError, match="damaged"):
        list(ollama.Client(host=url + "/ollama").chat(damaged, messages=TALK, stream=True))
