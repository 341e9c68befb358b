"""The process: its command line, its socket, its end."""

import json
import os
import resource
import signal
import socket
import subprocess

import pytest
from engine_process import ENGINE, PATIENCE_S, Engine, UnixConnection, last_line, run_engine
from model_maker import TinyModel

GREEDY = {"temperature": 0, "seed": 1}


@pytest.fixture(scope="module", params=["gguf", "safetensors"])
def engine(request, smollm2_gguf, smollm2_folder):
    with Engine(smollm2_gguf if request.param == "gguf" else smollm2_folder) as running:
        yield running


@pytest.fixture(scope="session")
def tiny(vocabulary, tmp_path_factory):
    return TinyModel(vocabulary.first(300)).write(tmp_path_factory.mktemp("tiny") / "m")


def test_it_completes_a_text(engine):
    answer = engine.post("/completion", {"prompt": "The capital of France is", "n_predict": 8, **GREEDY})
    assert "Paris" in answer["content"]
    assert answer["tokens_predicted"] == 8


def events(engine, path: str, body: dict) -> list[str]:
    connection = UnixConnection(engine.socket)
    connection.request("POST", path, json.dumps(body))
    response = connection.getresponse()
    assert response.status == 200
    assert response.getheader("Content-Type").startswith("text/event-stream")
    return [line[6:].strip() for line in response.read().decode().split("\n") if line.startswith("data: ")]


def test_it_streams_a_completion_piece_by_piece(engine):
    body = {"prompt": "The capital of France is", "n_predict": 8, **GREEDY}
    pieces = [json.loads(text) for text in events(engine, "/completion", body | {"stream": True})]
    assert len(pieces) >= 8
    assert pieces[-1]["stop"] is True
    assert "".join(piece["content"] for piece in pieces) == engine.post("/completion", body)["content"]


def test_it_chats_through_the_models_own_template(engine):
    messages = [{"role": "user", "content": "What is gravity?"}]
    answer = engine.post("/v1/chat/completions", {"messages": messages, "max_tokens": 24, **GREEDY})
    assert "gravity" in answer["choices"][0]["message"]["content"].lower()
    prompt = engine.post("/apply-template", {"messages": messages})["prompt"]
    assert prompt.endswith("<|im_start|>user\nWhat is gravity?<|im_end|>\n<|im_start|>assistant\n")


def test_it_answers_in_the_form_of_a_json_schema(engine):
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string", "maxLength": 12}, "people": {"type": "integer", "maximum": 9999}},
        "required": ["city", "people"],
    }
    body = {"prompt": "Berlin as JSON: ", "n_predict": 100, "json_schema": schema, **GREEDY}
    assert set(json.loads(engine.post("/completion", body)["content"])) == {"city", "people"}


def test_it_tokenizes_and_back(engine):
    text = "Hello, wörld 🚀 123"
    tokens = engine.post("/tokenize", {"content": text})["tokens"]
    assert len(tokens) > 8
    assert engine.post("/detokenize", {"tokens": tokens})["content"] == text


def test_it_reports_a_bad_request_and_lives_on(engine):
    status, text = engine.request("POST", "/completion", {"prompt": {"not": "a prompt"}})
    assert status == 400
    assert "error" in json.loads(text)
    assert engine.healthy()


def test_it_has_no_web_page(engine):
    assert engine.request("GET", "/")[0] == 404


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_cleanly_when_told_to(tiny, end):
    with Engine(tiny) as engine:
        engine.process.send_signal(end)
        assert engine.process.wait(PATIENCE_S) == 0


def test_it_leaves_no_socket_behind(tiny):
    with Engine(tiny) as engine:
        engine.post("/tokenize", {"content": "the core is ready for signals once it has answered"})
        engine.process.terminate()
        assert engine.process.wait(PATIENCE_S) == 0
        assert not engine.socket.exists()


def test_it_dies_with_the_server_that_held_its_lifeline(tiny):
    with Engine(tiny) as engine:
        engine.cut_lifeline()
        assert engine.process.wait(PATIENCE_S) == 0


def test_it_dies_with_its_server_while_it_computes(smollm2_gguf):
    with Engine(smollm2_gguf) as engine:
        connection = UnixConnection(engine.socket)
        body = {"prompt": "Once", "n_predict": 2000, "stream": True, "ignore_eos": True}
        connection.request("POST", "/completion", json.dumps(body))
        assert connection.getresponse().read(20)
        engine.cut_lifeline()
        assert engine.process.wait(PATIENCE_S) == 0


def test_it_takes_the_socket_a_killed_engine_left_behind(tiny, tmp_path):
    path = tmp_path / "left.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    with Engine(tiny, at=path) as engine:
        assert engine.healthy()


def test_its_socket_is_for_its_user_alone(tiny):
    with Engine(tiny) as engine:
        assert engine.socket.stat().st_mode & 0o777 == 0o700


@pytest.fixture
def refused(smollm2_gguf, tmp_path):
    def run(*arguments, **options) -> str:
        done = run_engine(*arguments, **options)
        assert done.returncode == 1, done.stderr
        line = last_line(done.stderr)
        assert line.startswith("error: "), done.stderr
        return line

    return run


def test_a_missing_model_is_named(refused, tmp_path):
    assert "nowhere.gguf" in refused("-m", tmp_path / "nowhere.gguf", "--host", tmp_path / "x.sock")


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a model" * 100])
def test_a_file_that_is_no_model_is_named_with_a_reason(refused, tmp_path, content):
    path = tmp_path / "broken.gguf"
    path.write_bytes(content)
    line = refused("-m", path, "--host", tmp_path / "x.sock")
    assert "broken.gguf: " in line
    assert "no reason" not in line


def test_a_truncated_gguf_is_named_with_a_reason(refused, smollm2_gguf, tmp_path):
    path = tmp_path / "short.gguf"
    path.write_bytes(smollm2_gguf.read_bytes()[:50_000_000])
    assert "not within the file bounds" in refused("-m", path, "--host", tmp_path / "x.sock")


def test_a_context_that_does_not_fit_is_given_as_the_reason(refused, smollm2_gguf, tmp_path):
    # Under a limit of the address space, so that nobody's memory is really asked for.
    def limit():
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))

    arguments = ["-m", smollm2_gguf, "--host", tmp_path / "x.sock", "-c", "2000000", "-fit", "off"]
    assert "failed to allocate buffer" in refused(*arguments, preexec_fn=limit)


def test_a_gguf_of_an_unknown_architecture_is_named(refused, smollm2_gguf, tmp_path):
    path = tmp_path / "strange.gguf"
    content = smollm2_gguf.read_bytes()
    path.write_bytes(content.replace(b"\x05\0\0\0\0\0\0\0llama", b"\x05\0\0\0\0\0\0\0lxama", 1))
    assert "lxama" in refused("-m", path, "--host", tmp_path / "x.sock")


@pytest.mark.parametrize(
    "arguments",
    [
        ["-hf", "some/model"],
        ["-mu", "http://localhost/x.gguf"],
        ["--docker-repo", "some/model"],
        ["-m", "MODEL", "-mmu", "http://localhost/x.gguf"],
        ["-m", "MODEL", "-hfd", "some/model"],
    ],
)
def test_it_never_downloads(refused, smollm2_gguf, arguments):
    assert "never downloads" in refused(*[str(smollm2_gguf) if a == "MODEL" else a for a in arguments])


def test_settings_do_not_come_from_the_environment(smollm2_gguf, tmp_path):
    environment = os.environ | {"LLAMA_ARG_HF_REPO": "some/model", "LLAMA_ARG_CTX_SIZE": "nonsense"}
    done = run_engine("-m", tmp_path / "nowhere", env=environment)
    assert "nowhere" in last_line(done.stderr)
    assert "LLAMA_ARG" not in done.stderr


@pytest.mark.parametrize(
    "arguments, named",
    [
        (["--bogus"], "--bogus"),
        (["-m", "MODEL", "--ctx-size"], "--ctx-size"),
        (["-m", "MODEL", "--ctx-size", "many"], "--ctx-size"),
        (["--models-dir", "/tmp"], "--models-dir"),
        (["-c", "512"], "no model given"),
        (["--lifeline-fd", "x"], "--lifeline-fd"),
        (["--lifeline-fd", "987"], "--lifeline-fd 987"),
        (["-m", "MODEL", "--host", "/tmp/" + "x" * 120 + ".sock"], "at most 107"),
        (["-m", "MODEL", "--host", "/nowhere/x.sock"], "/nowhere/x.sock"),
    ],
)
def test_a_wrong_argument_is_named(refused, smollm2_gguf, arguments, named):
    assert named in refused(*[str(smollm2_gguf) if a == "MODEL" else a for a in arguments])


def test_a_file_in_the_place_of_the_socket_is_left_alone(refused, smollm2_gguf, tmp_path):
    path = tmp_path / "precious.sock"
    path.write_text("data")
    assert "not a socket" in refused("-m", smollm2_gguf, "--host", path)
    assert path.read_text() == "data"


def test_a_socket_in_use_is_not_taken_over(refused, tiny, smollm2_gguf):
    with Engine(tiny) as engine:
        assert "another program" in refused("-m", smollm2_gguf, "--host", engine.socket)
        assert engine.healthy()


def test_version_names_llama_cpp_and_the_back_end_in_use():
    done = run_engine("version")
    assert done.returncode == 0
    about = json.loads(done.stdout)
    assert about["llama_cpp"].startswith("0.5.0")
    assert about["back_ends"][0]["name"] == "CPU"
    assert about["default_threads"] == max(1, len(os.sched_getaffinity(0)) - 1)


def test_wrong_usage_has_its_own_exit_code():
    assert run_engine().returncode == 2
    assert run_engine("describe").returncode == 2
    help_text = run_engine("--help")
    assert help_text.returncode == 0
    assert "homelab-llm-engine describe PATH" in help_text.stdout


def test_describe_of_nothing_says_so(refused, tmp_path):
    assert "nowhere" in refused("describe", tmp_path / "nowhere")
    assert "config.json" in refused("describe", tmp_path)


def test_describe_starts_no_compute_back_end(smollm2_gguf):
    trace = subprocess.run(
        ["env", "LD_DEBUG=libs", ENGINE, "describe", smollm2_gguf], capture_output=True, text=True, timeout=PATIENCE_S
    )
    assert trace.returncode == 0
    assert "libggml-base.so" in trace.stderr
    assert "libggml-cpu-" not in trace.stderr
