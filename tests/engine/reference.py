"""The reference implementation as a judge: models that transformers makes, and what it computes for them."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from engine_process import ROOT, probe
from model_maker import Vocabulary

PYTHON = Path(os.environ.get("HOMELAB_REFERENCE_PYTHON", ROOT / "build" / "venv-reference" / "bin" / "python"))
TOKENS = 300
PATIENCE_S = 900


def prompts() -> list[list[int]]:
    """Long enough for windows, rope scaling and unrotated layers to matter, and one short."""
    random = np.random.default_rng(5)
    return [random.integers(1, TOKENS, size=count).tolist() for count in (100, 7)]


@dataclass
class ReferenceModels:
    """Folders that transformers wrote, with SmolLM2's tokenizer (its first tokens) beside the weights."""

    folder: Path

    @staticmethod
    def make(folder: Path, cases: dict[str, dict], vocabulary: Vocabulary) -> "ReferenceModels":
        assert PYTHON.exists(), f"{PYTHON} is missing: run `make venv`"
        done = subprocess.run(
            [PYTHON, Path(__file__).with_name("reference_models.py"), folder],
            input=json.dumps({"cases": cases, "prompts": prompts()}),
            capture_output=True, text=True, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-3000:]
        for name in cases:
            vocabulary.first(TOKENS).write(folder / name)
        return ReferenceModels(folder)

    def expected(self, name: str) -> np.ndarray:
        return np.load(self.folder / name / "logits.npy").astype(np.float64)


def computed(folder: Path) -> np.ndarray:
    """The engine's logits of the same prompts."""
    _, flat = probe(folder, [{"tokens": prompt, "logits": True} for prompt in prompts()])
    return flat.reshape(-1, TOKENS)
