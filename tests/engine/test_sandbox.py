"""What an engine gave up before it read its model, seen from outside and by its own trial."""

import json
import os
from pathlib import Path

import pytest
from engine_process import Engine, run_engine
from model_maker import TinyModel


@pytest.fixture(scope="session")
def tiny(vocabulary, tmp_path_factory):
    return TinyModel(vocabulary.first(300)).write(tmp_path_factory.mktemp("tiny") / "m")


def report(engine: Engine) -> dict:
    lines = [line for line in engine.log_text().splitlines() if line.startswith("sandbox: ")]
    return json.loads(lines[0].removeprefix("sandbox: "))


def status_of(task: Path) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if ":\t" in line)


def test_every_thread_of_a_serving_engine_is_in_the_sandbox(tiny):
    with Engine(tiny) as engine:
        assert engine.post("/completion", {"prompt": "a", "n_predict": 4})["tokens_predicted"] > 0
        tasks = list(Path(f"/proc/{engine.process.pid}/task").iterdir())
        assert len(tasks) > 2
        for task in map(status_of, tasks):
            assert task["NoNewPrivs"] == "1"
            assert task["Seccomp"] == "2"
            # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_IPC_LOCK and CAP_SYS_NICE at most
            assert int(task["CapEff"], 16) & ~(1 << 1 | 1 << 2 | 1 << 14 | 1 << 23) == 0


def test_it_reports_what_holds(tiny):
    with Engine(tiny) as engine:
        said = report(engine)
    assert said.pop("landlock") >= 0
    assert set(said) == {"no_new_privileges", "no_tracing", "few_capabilities", "seccomp"}
    assert all(said.values())


def test_what_is_forbidden_is_really_refused():
    answer = json.loads(run_engine("check-sandbox").stdout)
    refused = answer["refused"]
    # Without Landlock, what is there may be read and written to as before; nothing can be made.
    needs_landlock = {"read", "write"} if answer["sandbox"]["landlock"] == 0 else set()
    assert {name for name, no in refused.items() if not no} == needs_landlock
    assert {"tcp", "udp", "connect", "execute", "create", "write"} <= set(refused)


def test_a_cache_of_links_is_read_through_them(smollm2_gguf, tmp_path):
    blob = tmp_path / "blobs" / "abc"
    blob.parent.mkdir()
    os.link(smollm2_gguf, blob) if os.stat(smollm2_gguf).st_dev == os.stat(tmp_path).st_dev else blob.write_bytes(
        smollm2_gguf.read_bytes()
    )
    snapshot = tmp_path / "snapshots" / "c"
    snapshot.mkdir(parents=True)
    (snapshot / "m.gguf").symlink_to("../../blobs/abc")
    with Engine(snapshot / "m.gguf") as engine:
        assert engine.post("/completion", {"prompt": "The capital of France is", "n_predict": 8, "temperature": 0})[
            "tokens_predicted"
        ]


def test_it_can_be_switched_off(tiny):
    with Engine(tiny, "--sandbox", "off") as engine:
        assert "sandbox: " not in engine.log_text()
        assert status_of(Path(f"/proc/{engine.process.pid}"))["Seccomp"] == status_of(Path("/proc/self"))["Seccomp"]


def test_a_wrong_word_is_named():
    done = run_engine("--sandbox", "maybe", "-m", "x")
    assert done.returncode == 1
    assert "--sandbox: expected on or off" in done.stderr
