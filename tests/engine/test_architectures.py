"""Each architecture that is described computes from safetensors what transformers computes from the same files.

The judge is transformers itself (build/venv-reference), on tiny random models that it made and saved.
"""

import json
import shutil

import numpy as np
import pytest
from engine_process import describe
from reference import TOKENS, ReferenceModels, computed

COMMON = {
    "vocab_size": TOKENS,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
}
LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


def case(kind: str, dtype: str = "float32", max_shard_size: str = "1GB", **config) -> dict:
    return {"class": kind, "dtype": dtype, "max_shard_size": max_shard_size, "config": COMMON | config}


CASES = {
    "llama": case("Llama", head_dim=32, max_shard_size="100KB"),
    "llama with biases": case("Llama", attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "llama3 rope": case("Llama", rope_scaling=LLAMA3, rope_theta=500000.0),
    "linear rope": case("Llama", rope_scaling={"rope_type": "linear", "factor": 4.0}),
    "yarn rope": case("Llama", rope_scaling=YARN),
    "yarn rope with its own factor": case("Qwen2", rope_scaling=YARN | {"attention_factor": 0.8}),
    "mistral": case("Mistral", head_dim=32, sliding_window=128),
    "qwen2": case("Qwen2"),
    "qwen3": case("Qwen3", head_dim=32, tie_word_embeddings=True),
    "smollm3": case("SmolLM3", num_hidden_layers=5),
    "smollm3 with yarn": case("SmolLM3", num_hidden_layers=4, rope_scaling=YARN, tie_word_embeddings=False),
    "olmo2": case("Olmo2", dtype="float16"),
    "olmo2 tied": case("Olmo2", tie_word_embeddings=True),
    "granite": case(
        "Granite", embedding_multiplier=6.0, residual_multiplier=0.3, attention_multiplier=0.1, logits_scaling=4.0
    ),
    "granite with biases": case("Granite", attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
}


@pytest.fixture(scope="module")
def models(vocabulary, tmp_path_factory) -> ReferenceModels:
    return ReferenceModels.make(tmp_path_factory.mktemp("reference"), CASES, vocabulary)


def assert_same(got: np.ndarray, expected: np.ndarray) -> None:
    assert np.isfinite(got).all()
    assert expected.std() > 0.1, "the model says nothing, so it proves nothing"
    assert (got.argmax(-1) == expected.argmax(-1)).mean() > 0.97
    # The cache of keys and values is in half precision, hence not 1e-6.
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("name", CASES)
def test_the_logits_are_those_of_transformers(models, name):
    assert_same(computed(models.folder / name), models.expected(name))
