"""The command line as a user sees it: real program, real folders; a misbehaving Hub and an imitated engine beside it."""

import json
import os
import pathlib
import pty
import select
import signal
import subprocess
import time

import pytest
from api_imposter import ApiImposter
from downloads import repo_folder, size_now
from fault_hub import random_bytes
from running import PROGRAM, Server, command, environment, until

FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))
REPO = "org/tiny-GGUF"
FILE = "tiny.Q4_1.gguf"
CLOSED_PORT = "1"  # nobody listens on a privileged port of a test machine


class House:
    """A user's folder with settings; `run` is one command line in it."""

    def __init__(self, folder, **settings):
        self.folder = folder
        self.cache = folder / "hf"
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.cache, SECONDARY_CACHE_PATH=folder / "second",
                               DATABASE_PATH=folder / "models.db", HOMELAB_LLM_ENGINE=FAKE_ENGINE,
                               HOMELAB_LLM_PORT=CLOSED_PORT, HF_ENDPOINT="http://127.0.0.1:9", **settings)

    def run(self, *words, code=0, **more):
        done = command({**self.env, **{name: str(value) for name, value in more.items()}}, self.folder, *words)
        assert done.returncode == code, f"{words}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *words, code=0):
        return json.loads(self.run(*words, "--json", code=code).stdout)

    def local_model(self, flags=""):
        """A file that only the imitated engine can load."""
        path = self.folder / "local.gguf"
        path.write_bytes(b"GGUF" + bytes(60))
        path.with_name(path.name + ".flags").write_text(flags)
        return path


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


@pytest.fixture
def hub_house(tmp_path, fault_hub):
    """A house whose Hub has one model."""
    house = House(tmp_path)
    house.hub = fault_hub
    house.env["HF_ENDPOINT"] = fault_hub.endpoint
    house.repo = fault_hub.add(REPO, {FILE: b"GGUF" + random_bytes(2_000_000, 1), "README.md": b"# Tiny\n"})
    return house


@pytest.fixture
def served(house):
    """A house with a running server."""
    house.server = Server(house.folder, house.env)
    house.env["HOMELAB_LLM_PORT"] = str(house.server.port)
    yield house
    assert house.server.stop() == 0, house.server.log.read_text()


@pytest.fixture
def imposter(house):
    with ApiImposter() as server:
        house.env["HOMELAB_LLM_PORT"] = str(server.port)
        yield server


# --- usage -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [[], ["fly"], ["load"], ["ps", "surplus"], ["ps", "--colour"], ["pull", "a/b/c"],
                                   ["pull", "../x"], ["register", "name-only"], ["--port", "many", "ls"],
                                   ["pull", "a/b", "--location", "custom"], ["generate", "x", "--top-p", "7"],
                                   ["run", "smol", "x", "--env-file", "missing.env"]])
def test_wrong_usage_is_exit_code_2_with_one_line(house, words):
    expected = 1 if "missing.env" in words else 2
    done = house.run(*words, code=expected)
    assert done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


def test_usage_errors_are_json_too(house):
    assert house.json("load", code=2)["error"]["code"] == "invalid_argument"


def test_help_goes_to_standard_output(house):
    assert "homelab-llm pull" in house.run("pull", "--help").stdout
    assert "Exit codes" in house.run("--help").stdout


def test_version(house):
    version = house.json("version")
    assert version["name"] == "homelab-llm"
    assert house.run("--version").stdout.strip() == version["version"]
    assert house.run("version").stdout == f"homelab-llm {version['version']}\n"


def test_version_is_told_with_broken_settings(house):
    house.run("version", PRIMARY_CACHE_LIMIT_GB="much")
    assert "PRIMARY_CACHE_LIMIT_GB" in house.run("explain", code=2, PRIMARY_CACHE_LIMIT_GB="much").stderr


@pytest.mark.parametrize("words", [["ps"], ["load", "smol"], ["unload"], ["generate", "x"]])
def test_commands_that_need_a_server_say_how_to_start_one(house, words):
    done = house.run(*words, code=1)
    assert done.stderr == f"error: no server at http://127.0.0.1:{CLOSED_PORT}; start it with: homelab-llm serve\n"
    assert house.json(*words, code=1)["error"]["code"] == "unavailable"


# --- explain -----------------------------------------------------------------------------------------------------------


def test_explain_names_every_setting_and_its_origin(house):
    (house.folder / ".env").write_text("PRIMARY_CACHE_LIMIT_GB=7\n")
    settings = {row["name"]: row for row in house.json("explain", "--port", "8123")["settings"]}
    assert settings["PRIMARY_CACHE_PATH"]["value"] == str(house.cache)
    assert "environment" in settings["PRIMARY_CACHE_PATH"]["origin"]
    assert settings["PRIMARY_CACHE_LIMIT_GB"]["value"] == "7" and "line 1" in settings["PRIMARY_CACHE_LIMIT_GB"]["origin"]
    assert settings["HOMELAB_LLM_PORT"]["value"] == "8123" and "--port" in settings["HOMELAB_LLM_PORT"]["origin"]
    assert settings["HOMELAB_LLM_SLOTS"]["origin"] == "default"
    text = house.run("explain").stdout
    assert str(house.cache / "hub") in text and "does not exist yet" in text


def test_explain_never_shows_a_token(house):
    done = house.run("explain", HF_TOKEN="hf_verysecret")
    assert "hf_verysecret" not in done.stdout + done.stderr


def test_explain_leads_from_a_repository_to_its_blobs(hub_house):
    missing = hub_house.json("explain", REPO)
    assert missing["complete"] is False and missing["model"] is None
    hub_house.run("pull", REPO)
    found = hub_house.json("explain", REPO)
    assert found["complete"] is True
    steps = {step["what"]: step["value"] for step in found["steps"]}
    assert steps["hub folder"] == str(hub_house.cache / "hub")
    assert steps["commit"] == hub_house.repo.commit
    (file,) = [entry for entry in found["files"] if entry["path"] == FILE]
    blob = repo_folder(hub_house.cache / "hub", REPO) / "blobs" / file["blob"]
    assert blob.stat().st_size == file["size_bytes"] == len(hub_house.repo.files[FILE])


# --- pull --------------------------------------------------------------------------------------------------------------


def test_pull_downloads_once_and_says_where(hub_house):
    first = hub_house.json("pull", f"{REPO}:q4_1")
    assert pathlib.Path(first["model_path"]).read_bytes() == hub_house.repo.files[FILE]
    assert pathlib.Path(first["folder"]).is_relative_to(hub_house.cache / "hub")
    assert first["format"] == "gguf" and first["variant"] == "Q4_1" and first["commit"] == hub_house.repo.commit
    assert first["downloaded_bytes"] >= len(hub_house.repo.files[FILE])
    again = hub_house.json("pull", f"{REPO}:q4_1")
    assert again["downloaded_bytes"] == 0 and again["total_bytes"] == first["total_bytes"]
    assert len(hub_house.hub.gets(FILE)) == 1
    text = hub_house.run("pull", REPO)
    assert str(first["model_path"]) in text.stdout and "0 B downloaded" in text.stdout


def test_pull_goes_to_the_location_that_is_asked_for(hub_house):
    second = hub_house.json("pull", REPO, "--location", "secondary")
    assert pathlib.Path(second["folder"]).is_relative_to(hub_house.folder / "second" / "hub")
    own = hub_house.json("pull", REPO, "--path", "own")
    assert pathlib.Path(own["folder"]).is_relative_to(hub_house.folder / "own" / "hub")
    assert not hub_house.cache.exists()
    listed = hub_house.json("cache", "ls")
    assert [(repo["repo"], repo["location"]) for repo in listed] == [(REPO, "secondary")]


def test_pull_of_an_unknown_repository_names_it(hub_house):
    done = hub_house.run("pull", "org/absent", code=1)
    assert "org/absent" in done.stderr
    assert hub_house.json("pull", "org/absent", code=1)["error"]["code"] == "not_found"


def test_pull_refuses_what_is_over_the_quota_before_the_content(hub_house):
    done = hub_house.run("pull", REPO, code=1, PRIMARY_CACHE_LIMIT_GB="0.001")
    assert "does not fit" in done.stderr and "2.0 MB to download" in done.stderr
    assert hub_house.hub.gets(FILE) == []
    hub_house.run("pull", REPO)
    hub_house.run("pull", REPO, PRIMARY_CACHE_LIMIT_GB="0.001")  # nothing more is needed


def test_pull_prints_plain_lines_when_nobody_watches(hub_house):
    done = hub_house.run("pull", REPO)
    assert "\r" not in done.stderr and "\x1b" not in done.stderr
    assert "Asking the Hub" in done.stderr


def test_pull_stopped_by_ctrl_c_continues_later(hub_house):
    hub_house.repo.files[FILE] = b"GGUF" + random_bytes(8_000_000, 2)
    hub_house.hub.fault(FILE, times=None, delay=0.05)
    process = subprocess.Popen([PROGRAM, "pull", REPO], cwd=hub_house.folder, env=hub_house.env,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    blobs = repo_folder(hub_house.cache / "hub", REPO) / "blobs"
    until(lambda: any(size_now(part) > 1 << 20 for part in blobs.glob("*part*")), 60, "the first megabyte")
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert error.splitlines()[-1] == "error: stopped; run again to continue"
    assert hub_house.json("explain", REPO)["complete"] is False
    hub_house.hub.faults.clear()
    rest = hub_house.json("pull", REPO)
    assert rest["downloaded_bytes"] < 8_000_000
    assert pathlib.Path(rest["model_path"]).read_bytes() == hub_house.repo.files[FILE]


class Terminal:
    """The program with a keyboard and a screen."""

    def __init__(self, house, *words):
        self.ours, theirs = pty.openpty()
        self.process = subprocess.Popen([PROGRAM, *words], cwd=house.folder, env=house.env, stdin=theirs, stdout=theirs,
                                        stderr=theirs)
        os.close(theirs)
        self.shown = ""

    def type(self, keys: str):
        os.write(self.ours, keys.encode())

    def read(self, deadline) -> bool:
        """Takes what is on the screen; False when the program has closed it."""
        if not select.select([self.ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
            self.process.kill()
            raise AssertionError(f"nothing more came; shown so far:\n{self.shown}")
        try:
            piece = os.read(self.ours, 65536)
        except OSError:  # the other side is closed
            return False
        self.shown += piece.decode(errors="replace")
        return bool(piece)

    def wait_for(self, text: str, seconds=60):
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            assert self.read(deadline), f"{text!r} did not come:\n{self.shown}"

    def end(self, seconds=60) -> int:
        deadline = time.monotonic() + seconds
        while self.read(deadline):
            pass
        os.close(self.ours)
        return self.process.wait(seconds)


def on_a_terminal(house, *words, keys=""):
    """Exit code and everything a terminal shows; `keys` are typed at once."""
    terminal = Terminal(house, *words)
    terminal.type(keys)
    return terminal.end(), terminal.shown


def test_pull_draws_a_bar_on_a_terminal_and_removes_it(hub_house):
    hub_house.hub.fault(FILE, delay=0.01)
    code, shown = on_a_terminal(hub_house, "pull", REPO)
    assert code == 0
    assert " %" in shown and "[" in shown and "\r\x1b[K" in shown
    assert shown[shown.rindex("\r\x1b[K"):].startswith("\r\x1b[K/")


# --- the registry ------------------------------------------------------------------------------------------------------


def test_registry_commands_work_without_a_server(house):
    assert "no model is registered" in house.run("ls").stdout
    done = house.run("register", "org/name-GGUF:Q4_1")
    assert "'name-GGUF'" in done.stdout and "no server is running" in done.stderr
    model = house.json("register", "Tiny qwen (King Nish)", "org/tiny", "--location", "secondary")
    assert model["cache_path"] == str(house.folder / "second") and model["compatibility_status"] == "unknown"
    assert [row["model_name"] for row in house.json("ls")] == ["name-GGUF", "Tiny qwen (King Nish)"]
    assert "Tiny qwen (King Nish)  org/tiny" in house.run("ls").stdout
    assert house.json("show", "Tiny qwen (King Nish)")["hf_path"] == "org/tiny"
    assert "org/tiny" in house.run("show", "Tiny qwen (King Nish)").stdout
    house.run("rm", "Tiny qwen (King Nish)")
    assert [row["model_name"] for row in house.json("ls")] == ["name-GGUF"]


def test_registering_a_name_twice_shows_the_servers_words(house):
    house.run("register", "a", "org/name")
    assert "a" in house.run("register", "a", "org/other", code=1).stderr
    assert house.json("register", "a", "org/other", code=1)["error"]["message"]


def test_unknown_names_are_answered_with_the_known_ones(house):
    house.run("register", "a", "org/name")
    assert "registered are: a" in house.run("show", "b", code=1).stderr
    assert house.json("rm", "b", code=1)["error"]["code"] == "not_found"


def test_custom_registration_stores_the_absolute_path(house):
    model = house.json("register", "a", "org/name", "--path", "sub/../own")
    assert model["cache_location"] == "custom" and model["cache_path"] == str(house.folder / "own")


def test_rm_with_files_needs_a_yes(hub_house):
    hub_house.run("register", "a", REPO)
    hub_house.run("pull", REPO)
    assert "--yes" in hub_house.run("rm", "a", "--files", code=2).stderr
    code, _ = on_a_terminal(hub_house, "rm", "a", "--files", keys="n\n")
    assert code == 1
    assert repo_folder(hub_house.cache / "hub", REPO).exists()
    assert "freed_space_mb" in hub_house.json("rm", "a", "--files", "--yes")
    assert not repo_folder(hub_house.cache / "hub", REPO).exists()
    assert hub_house.json("ls") == []


# --- load, ps, generate ------------------------------------------------------------------------------------------------


def test_a_day_with_a_running_server(served):
    path = served.local_model()
    done = served.run("load", str(path))
    assert "registered" in done.stderr and "loaded local" in done.stdout
    status = served.json("ps")
    assert status["status"]["loaded_model"] == "local" and status["server"].endswith(str(served.server.port))
    assert "local" in served.run("ps").stdout
    assert served.run("generate", "one two", "--max-tokens", "3").stdout == "w0 w1 w2\n"
    whole = served.json("generate", "one two", "--max-tokens", "3")
    assert whole["generated_text"].startswith("one two") and whole["output_tokens"] == 3
    assert served.run("generate", "one two", "--max-tokens", "3", "--no-stream").stdout == "w0 w1 w2\n"
    assert served.run("rm", "local", code=1).stderr.startswith("error: ")
    assert "local" in served.run("unload").stdout
    assert served.run("unload", code=1).stderr.startswith("error: ")
    assert served.run("generate", "x", code=1).stderr.startswith("error: ")
    served.run("rm", "local")


def test_load_says_the_true_reason_of_a_failure(served):
    path = served.local_model("--fail-load the weights are upside down\n")
    done = served.run("load", str(path), code=1)
    assert "the weights are upside down" in done.stderr
    refused = served.run("load", "local", code=1)
    assert "force" in refused.stderr
    path.with_name(path.name + ".flags").write_text("")
    served.run("load", "local", "--force")


def test_an_error_in_a_stream_is_exit_code_1_after_the_text_so_far(served):
    served.run("load", str(served.local_model("--error-after 2\n")))
    done = served.run("generate", "one", "--max-tokens", "9", code=1)
    assert done.stdout == "w0 w1\n"
    assert "lost its mind" in done.stderr


def test_load_downloads_with_progress(hub_house):
    server = Server(hub_house.folder, hub_house.env)
    try:
        hub_house.env["HOMELAB_LLM_PORT"] = str(server.port)
        hub_house.hub.fault(FILE, delay=0.02)
        done = hub_house.run("load", REPO)
        assert "Downloading tiny-GGUF" in done.stderr and "\r" not in done.stderr
        assert "loaded tiny-GGUF" in done.stdout
    finally:
        assert server.stop() == 0


def test_a_prompt_comes_from_standard_input(served):
    served.run("load", str(served.local_model()))
    done = subprocess.run([PROGRAM, "generate", "-", "--json", "--max-tokens", "1"], input="one two three\n", text=True,
                          cwd=served.folder, env=served.env, capture_output=True, timeout=60)
    assert json.loads(done.stdout)["input_tokens"] == 3
    empty = subprocess.run([PROGRAM, "generate", "-"], input="", text=True, cwd=served.folder, env=served.env,
                           capture_output=True, timeout=60)
    assert empty.returncode == 2


# --- run and chat ------------------------------------------------------------------------------------------------------


def test_run_streams_one_answer(house, imposter):
    assert house.run("run", "smol", "Hi", "there", "--max-tokens", "5", "--greedy").stdout == "Hello\n"
    (body,) = imposter.bodies("/v1/chat/completions")
    assert body["messages"] == [{"role": "user", "content": "Hi there"}]
    assert body["model"] == "smol" and body["max_tokens"] == 5 and body["temperature"] == 0 and body["stream"] is True
    assert house.json("run", "org/smol", "Hi")["text"] == "Hello"


def test_run_shows_what_came_before_an_error(house, imposter):
    imposter.chat_error = "the engine was killed by signal 9"
    done = house.run("run", "smol", "Hi", code=1)
    assert done.stdout == "Hello\n" and "signal 9" in done.stderr
    imposter.chat_error, imposter.cut = None, True
    assert house.run("run", "smol", "Hi", code=1).stderr.startswith("error: ")


def test_chat_keeps_the_conversation(house, imposter):
    code, shown = on_a_terminal(house, "run", "smol", "--system", "Be brief", keys="one\ntwo\n/clear\nthree\n/bye\n")
    assert code == 0 and "Hello" in shown
    bodies = [[(message["role"], message["content"]) for message in body["messages"]]
              for body in imposter.bodies("/v1/chat/completions")]
    system = ("system", "Be brief")
    assert bodies == [[system, ("user", "one")],
                      [system, ("user", "one"), ("assistant", "Hello"), ("user", "two")],
                      [system, ("user", "three")]]


def test_chat_ends_with_ctrl_d_and_has_no_json(house, imposter):
    code, _ = on_a_terminal(house, "run", "smol", keys="\x04")
    assert code == 0
    code, shown = on_a_terminal(house, "run", "smol", "--json", keys="")
    assert code == 2 and "invalid_argument" in shown


def test_ctrl_c_stops_an_answer_and_the_chat_goes_on(house, imposter):
    imposter.hold = True
    terminal = Terminal(house, "run", "smol")
    terminal.type("one\n")
    terminal.wait_for("Hello")
    terminal.process.send_signal(signal.SIGINT)
    terminal.wait_for("[stopped]")
    imposter.hold = False
    terminal.type("two\n/bye\n")
    assert terminal.end() == 0
    asked = [[message["content"] for message in body["messages"]] for body in imposter.bodies("/v1/chat/completions")]
    assert asked == [["one"], ["two"]], "a question whose answer was cut short is taken back"


def test_ctrl_c_stops_a_single_answer(house, imposter):
    imposter.hold = True
    terminal = Terminal(house, "run", "smol", "Hi")
    terminal.wait_for("Hello")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.end() == 1
    assert "error: stopped" in terminal.shown


def test_a_proxy_of_the_environment_is_not_asked_for_our_own_server(house, imposter):
    proxy = "http://127.0.0.1:9"
    house.run("ps", http_proxy=proxy, HTTP_PROXY=proxy, ALL_PROXY=proxy, all_proxy=proxy)


def test_text_of_a_model_cannot_steer_the_terminal(house, imposter):
    imposter.chat = ["a\x1b[31mb\x07"]
    _, shown = on_a_terminal(house, "run", "smol", "Hi")
    assert "a?[31mb?" in shown
    assert house.run("run", "smol", "Hi").stdout == "a\x1b[31mb\x07\n", "a file gets the text as it is"


def test_a_foreign_program_on_the_port_is_no_server(house, imposter):
    imposter.answers[("GET", "/health")] = (200, "<html>hello</html>")
    assert "no server at" in house.run("ps", code=1).stderr


def test_names_are_encoded_in_paths(house, imposter):
    name = "Tiny qwen (King/Nish)?%"
    imposter.answers[("GET", "/api/models")] = (200, [{"model_name": name, "hf_path": "org/x"}])
    house.run("rm", name, code=1)
    assert imposter.seen[-1][:2] == ("DELETE", "/api/models/Tiny%20qwen%20%28King%2FNish%29%3F%25")


def test_answers_of_another_form_are_errors_not_crashes(house, imposter):
    for answer in ({"detail": "x"}, [1], "no json", None):
        imposter.answers[("GET", "/api/models")] = (200, answer)
        assert house.json("ls", code=1)["error"]["code"] == "data_loss"
    imposter.answers[("GET", "/api/models")] = (500, "Internal Server Error")
    assert "status 500: Internal Server Error" in house.run("ls", code=1).stderr
