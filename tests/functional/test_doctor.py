"""doctor as a user sees it: the real program on folders that the real Python client filled."""

import json
import os
import pathlib
import socket

import pytest
from downloads import REPO, model_files, python_client
from running import PROGRAM, Server, command, environment

FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))


class Patient:
    """A user's folder; `doctor` gives (exit code, findings)."""

    def __init__(self, folder, hub):
        self.folder = folder
        self.hub = hub
        self.root = folder / "hf"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=self.root, SECONDARY_CACHE_PATH=folder / "second",
                               DATABASE_PATH=folder / "models.db", HOMELAB_LLM_ENGINE=FAKE_ENGINE,
                               HOMELAB_LLM_PORT=self.port, HF_ENDPOINT=hub.endpoint, HF_HOME=self.root)

    def doctor(self, **more):
        done = command({**self.env, **{k: str(v) for k, v in more.items()}}, self.folder, "doctor", "--json")
        report = json.loads(done.stdout)
        errors = [f for f in report["findings"] if f["severity"] == "error"]
        assert done.returncode == (1 if errors else 0), done.stderr
        assert report["errors"] == len(errors) and report["ok"] == (not errors)
        return report["findings"]

    def bad(self, **more):
        return [f for f in self.doctor(**more) if f["severity"] in ("warning", "error")]

    def download(self, cache_dir=None):
        python_client(cache_dir or self.root / "hub", f"""
import huggingface_hub as h
h.snapshot_download({REPO!r}, cache_dir=folder)
print(json.dumps(None))""", HF_HUB_OFFLINE="0", HF_ENDPOINT=self.hub.endpoint)


@pytest.fixture
def patient(tmp_path, fault_hub):
    fault_hub.add(REPO, model_files())
    return Patient(tmp_path, fault_hub)


def groups_about(findings, *words):
    return [f for f in findings if all(word in f["text"] for word in words)]


def test_a_healthy_machine_ends_with_one_line_that_says_so(patient):
    patient.download()
    before = sorted(patient.root.rglob("*"))
    done = command(patient.env, patient.folder, "doctor")
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[-1].startswith("all is well ("), done.stdout
    assert sorted(patient.root.rglob("*")) == before, "looking changes nothing"
    assert patient.bad() == []


def test_an_empty_variable_is_named_with_its_cure(patient):
    (found,) = groups_about(patient.bad(HF_HUB_CACHE=""), "HF_HUB_CACHE")
    assert found["mend"] == "unset HF_HUB_CACHE"


def test_settings_that_cannot_be_used_are_a_finding_too(patient):
    (found,) = patient.bad(PRIMARY_CACHE_LIMIT_GB="many")
    assert found["severity"] == "error" and "PRIMARY_CACHE_LIMIT_GB" in found["text"]


def test_a_port_taken_by_something_else_is_an_error_and_our_own_server_is_not(patient):
    with socket.socket() as other:
        other.bind(("127.0.0.1", patient.port))
        other.listen()
        (found,) = groups_about(patient.bad(), "taken by another program")
        assert found["severity"] == "error"
    server = Server(patient.folder, patient.env)
    try:
        findings = patient.doctor(HOMELAB_LLM_PORT=server.port)
        assert groups_about(findings, "the server answers")
        assert groups_about(findings, "reads its registry")
    finally:
        server.stop()


def test_a_broken_link_and_a_second_copy_are_found_and_mended_by_what_doctor_says(patient):
    patient.download()
    patient.download(patient.root)
    blob = next((patient.root / "hub").glob("models--*/blobs/*"))
    blob.unlink()
    bad = patient.bad()
    (dangling,) = groups_about(bad, "to nothing")
    (twice,) = groups_about(bad, "stored twice")
    for finding in (dangling, twice):
        words = finding["mend"].split()
        assert words[0] == "homelab-llm"
        done = command(patient.env, patient.folder, *words[1:])
        assert done.returncode == 0, done.stdout + done.stderr
    assert groups_about(patient.bad(), "to nothing") == []
    assert groups_about(patient.bad(), "stored twice") == []


def test_a_missing_engine_is_an_error(patient):
    (found,) = patient.bad(HOMELAB_LLM_ENGINE=patient.folder / "none")
    assert (found["severity"], found["group"]) == ("error", "engine")


def test_a_hub_that_is_away_is_a_warning_and_offline_is_not(patient):
    (found,) = patient.bad(HF_ENDPOINT="http://127.0.0.1:9")
    assert found["severity"] == "warning" and "cannot be reached" in found["text"]
    assert patient.bad(HF_ENDPOINT="http://127.0.0.1:9", HF_HUB_OFFLINE="1") == []


def test_a_token_is_never_shown(patient):
    done = command({**patient.env, "HF_TOKEN": "hf_verysecret"}, patient.folder, "doctor")
    assert "hf_verysecret" not in done.stdout + done.stderr
    assert "a token is set (HF_TOKEN from environment" in done.stdout


def test_crafted_names_do_not_reach_the_terminal(patient):
    (patient.root / "hub" / "models--a\x1b[31m--b\nerror  fake").mkdir(parents=True)
    done = command(patient.env, patient.folder, "doctor")
    assert "\x1b" not in done.stdout
    assert not any(line.startswith("error  fake") for line in done.stdout.splitlines())
