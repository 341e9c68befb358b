"""Our reader of .env files against python-dotenv: the same file must mean the same to both, or be listed here.

Compose's own loader is the model of ours (config/README.md); python-dotenv is what a Python script beside the server uses.
"""

import io
import json
import os
import pathlib
import subprocess

import pytest
from dotenv.main import DotEnv

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
DUMP = pathlib.Path(os.environ.get("DOTENV_DUMP_BIN", ROOT / "build" / "bin" / "dotenv_dump"))


def ours(text: str, environment: dict | None = None) -> dict:
    variables = {f"DUMP_ENV_{name}": value for name, value in (environment or {}).items()}
    done = subprocess.run([DUMP], input=text.encode(), capture_output=True, env=variables, check=True, timeout=60)
    return json.loads(done.stdout)


def pythons(text: str, monkeypatch, environment: dict | None = None) -> dict:
    for name, value in (environment or {}).items():
        monkeypatch.setenv(name, value)
    values = DotEnv(None, stream=io.StringIO(text), override=False, encoding="utf-8").dict()
    return {name: value for name, value in values.items() if value is not None}


AGREED = [
    "PRIMARY_CACHE_PATH=/home/jare16/LLM/hf-cache",
    "A=x", "A=", "A = x", "  A=x", "export A=x", "A=x y", "A=x # c", "A=x#c", "A=x   # c", "A=a=b", "A=~/x",
    "A=\"x y\"", "A='x y'", "A=\"x\" # c", "A='x' # c", "A=\"x # c\"", "A='$B'", "A=''", "A=\"\"",
    "A=\"a\\nb\"", "A=\"a\\tb\"", "A=\"a\\\"b\"", "A='it\\'s'", "A=\"a\\\\b\"", "A=\"C:\\temp\\new\"", "A=C:\\temp\\new",
    "A=\"two\nlines\"", "A='two\nlines'",
    "B=b\nA=${B}/h", "B=b\nA=\"${B}/h\"", "A=${HOMELAB_UNSET:-d}", "A=\"${HOMELAB_UNSET:-d}/x\"", "A=${HOMELAB_UNSET}",
    "A=1\nA=2", "B=1\nA=${B}\nB=2", "# c\n\nA=1\n#A=2", "A=1\r\nB=\"2\"\r\n", "A", "A=\xe4\u20ac",
]


@pytest.mark.parametrize("text", AGREED)
def test_a_line_means_the_same_to_both(text, monkeypatch):
    result = ours(text + "\n")
    assert "error" not in result
    assert result["values"] == pythons(text + "\n", monkeypatch)


def test_the_real_environment_wins_in_both(monkeypatch):
    environment = {"HOMELAB_TEST_B": "outside"}
    text = "HOMELAB_TEST_B=file\nA=${HOMELAB_TEST_B}\n"
    assert ours(text, environment)["values"]["A"] == "outside"
    assert pythons(text, monkeypatch, environment)["A"] == "outside"


# (text, ours, python-dotenv's): ours is what compose makes of it.
DIFFERENT = [
    ("B=b\nA=$B/h", "b/h", "$B/h"),
    ("A=$$B", "$B", "$$B"),
    ("A=\"a\\$B\"", "a$B", "a\\$B"),
    ("A=x\t# c", "x\t# c", "x"),
    ("A='a\\\\b'", "a\\\\b", "a\\b"),
    ("A: x", "x", None),
    ("E=\nA=${E:-d}", "d", ""),
    ("B=b\nA=${B:+y}", "y", "${B:+y}"),
    ("A= # c", "# c", ""),
    ("B=b\nA='${B}'", "${B}", "b"),
    ("A=\"\\0101\"", "A", "\\0101"),
    ("B=b\nA=${HOMELAB_UNSET:-${B}}", "b", "${B}"),
]


@pytest.mark.parametrize("text,expected,other", DIFFERENT)
def test_known_differences_are_as_documented(text, expected, other, monkeypatch):
    assert ours(text + "\n")["values"]["A"] == expected
    assert pythons(text + "\n", monkeypatch).get("A") == other


def test_a_bare_variable_is_warned_of_because_python_keeps_it():
    warnings = ours("B=b\nA=$B\n")["warnings"]
    assert len(warnings) == 1 and "line 2" in warnings[0] and "${B}" in warnings[0]


# Python skips such lines with a log message; a setting that silently is not there is worse than an error.
@pytest.mark.parametrize("text", ["A=\"open", "A='open", "A=\"x\"y", "A B=1", "=x"])
def test_lines_that_python_skips_are_errors_with_their_line(text):
    assert ours("# first\n" + text + "\n")["error"].startswith("line 2: ")
