"""A running server with an imitated engine, for the tests of the HTTP interface."""

import os
import pathlib

import httpx
import running
from secret_token import SECRET

FAKE_ENGINE = pathlib.Path(os.environ.get(
    "HOMELAB_LLM_FAKE_ENGINE", running.PROGRAM.parent.parent / "tests" / "support" / "fake_engine" / "fake_engine"))


class House:
    """A running server with its folder, and a client for it."""

    def __init__(self, folder: pathlib.Path, **settings):
        assert FAKE_ENGINE.exists(), f"{FAKE_ENGINE} is missing: build the target fake_engine"
        self.folder = folder
        self.cache = folder / "hf-cache"
        self.server = running.Server(folder, running.environment(
            folder / "home", PRIMARY_CACHE_PATH=self.cache, SECONDARY_CACHE_PATH=folder / "second",
            DATABASE_PATH=folder / "models.db", HOMELAB_LLM_ENGINE=FAKE_ENGINE, HF_HUB_OFFLINE="1",
            HF_TOKEN=SECRET, **settings))
        self.url = f"http://127.0.0.1:{self.server.port}"
        self.http = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        self.count = 0

    def fresh_name(self) -> str:
        self.count += 1
        return f"model-{self.count}"

    def local_model(self, flags: str = "") -> str:
        """A model file that only the imitated engine can load; `flags` tell it how to behave."""
        path = self.folder / f"{self.fresh_name()}.gguf"
        path.write_bytes(b"GGUF" + bytes(60))
        path.with_name(path.name + ".flags").write_text(flags)
        return str(path)

    def register(self, **fields) -> dict:
        body = {"model_name": self.fresh_name(), "hf_path": "org/model", **fields}
        answer = self.http.post("/api/models", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def load(self, flags: str = "") -> dict:
        model = self.register(hf_path=self.local_model(flags))
        answer = self.http.post("/api/orchestrate/load", json={"model_name": model["model_name"]})
        assert answer.status_code == 200, answer.text
        return {**model, **answer.json()}

    def wait(self, condition, what: str):
        running.until(condition, what=what)

    def unload(self):
        self.http.post("/api/orchestrate/unload")
