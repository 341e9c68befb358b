"""The registry's file as its owner looks after it: `homelab-llm db`, and a server that finds it damaged."""

import contextlib
import json
import sqlite3

import pytest
from running import Server, command, environment


class House:
    """A user's folder with a database that knows one model."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "models.db"
        self.env = environment(folder / "home", PRIMARY_CACHE_PATH=folder / "hf", DATABASE_PATH=self.file)
        self.register("org/first")

    def run(self, *words):
        return command(self.env, self.folder, *words)

    def json(self, *words):
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def register(self, repo):
        assert self.run("register", repo).returncode == 0

    def names(self):
        return [model["model_name"] for model in self.json("ls")]

    def damage(self):
        """Everything behind the first page is overwritten, as a dying disk may do it."""
        content = bytearray(self.file.read_bytes())
        content[4096:] = b"Z" * (len(content) - 4096)
        self.file.write_bytes(content)
        return bytes(content)


@pytest.fixture
def house(tmp_path):
    return House(tmp_path)


def test_a_copy_brings_back_what_was_registered_then(house):
    copy = house.json("db", "backup")["backup"]
    house.register("org/second")
    restored = house.json("db", "restore", copy)
    assert house.names() == ["first"]
    assert restored["ok"] and restored["models"] == 1
    with contextlib.closing(sqlite3.connect(restored["replaced"])) as before:
        assert before.execute("select count(*) from modelregistry").fetchone() == (2,)


def test_a_copy_is_made_and_checked_while_the_server_runs(house):
    server = Server(house.folder, house.env)
    try:
        assert server.call("POST", "/api/models", {"model_name": "now", "hf_path": "org/now"})[0] == 201
        copy = house.json("db", "backup", house.folder / "copy.db")["backup"]
        assert house.json("db", "check", copy)["models"] == 2
        refused = house.run("db", "restore", copy)
        assert refused.returncode == 1 and "stop it first" in refused.stderr
        assert len(server.call("GET", "/api/models")[1]) == 2
    finally:
        server.stop()


def test_a_damaged_database_is_found_and_kept_byte_for_byte(house):
    copy = house.json("db", "backup")["backup"]
    damaged = house.damage()
    assert house.run("db", "check").returncode == 1
    assert house.run("ls").returncode == 1, "a command without a server does not throw it away"
    assert house.file.read_bytes() == damaged
    server = Server(house.folder, house.env)
    try:
        assert server.call("GET", "/api/models") == (200, [])
        (kept,) = [path for path in house.folder.glob("models.db.damaged-*Z")]
        assert kept.read_bytes() == damaged
        log = server.log.read_text()
        assert str(kept) in log and f"homelab-llm db restore {copy}" in log
    finally:
        server.stop()
    house.json("db", "restore", copy)
    assert house.names() == ["first"]


def test_what_a_killed_restore_left_does_not_stop_the_next_one(house):
    copy = house.json("db", "backup", house.folder / "copy.db")["backup"]
    house.register("org/second")
    (house.folder / "models.db.restoring").write_bytes(b"half a copy")
    assert sorted(house.names()) == ["first", "second"]
    house.json("db", "restore", copy)
    assert house.names() == ["first"]
    assert not (house.folder / "models.db.restoring").exists()
