"""Each architecture that is described computes from safetensors what transformers computes from the same files.

The judge is transformers itself (build/venv-reference), on tiny random models that it made and saved.
"""

import json
import shutil

import numpy as np
import pytest
from engine_process import describe
from reference import TOKENS, ReferenceModels, computed
from refusals import edit_config, refused
from safetensors.numpy import load_file, save_file

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

FACTORS = {
    "short_factor": [1.0, 1.1, 1.2, 1.5, 2.0, 2.5, 3.0, 3.5],
    "long_factor": [1.0, 1.5, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0],
}
PHI = {"rope_scaling": {"type": "longrope"} | FACTORS}
BEYOND = {
    "rope_scaling": {"rope_type": "longrope"} | FACTORS,
    "original_max_position_embeddings": 6,
    "max_position_embeddings": 24,
}
GEMMA = {"head_dim": 32, "query_pre_attn_scalar": 32, "sliding_window": 16}
QWEN_EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 48, "norm_topk_prob": True}


def case(kind: str, dtype: str = "float32", max_shard_size: str = "1GB", **config) -> dict:
    return {"class": kind, "dtype": dtype, "max_shard_size": max_shard_size, "config": COMMON | config}


CASES = {
    "llama": case("Llama", head_dim=32, max_shard_size="100KB"),
    "llama with biases": case("Llama", attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "llama3 rope": case("Llama", rope_scaling=LLAMA3, rope_theta=500000.0),
    "linear rope": case("Llama", rope_scaling={"rope_type": "linear", "factor": 4.0}),
    "yarn rope": case("Llama", rope_scaling=YARN),
    "yarn rope with its own factor": case("Qwen2", rope_scaling=YARN | {"attention_factor": 0.8}),
    "longrope of a llama": case("Llama", **BEYOND),
    "mistral": case("Mistral", head_dim=32, sliding_window=128),
    "qwen2": case("Qwen2"),
    "qwen3 with yarn": case("Qwen3", head_dim=16, rope_scaling=YARN),
    "qwen3": case("Qwen3", head_dim=32, tie_word_embeddings=True),
    "smollm3": case("SmolLM3", num_hidden_layers=5),
    "smollm3 with yarn": case("SmolLM3", num_hidden_layers=4, rope_scaling=YARN, tie_word_embeddings=False),
    "olmo2": case("Olmo2", dtype="float16"),
    "olmo2 with linear rope": case("Olmo2", rope_scaling={"type": "linear", "factor": 4.0}),
    "olmo2 tied": case("Olmo2", tie_word_embeddings=True),
    "granite": case(
        "Granite", embedding_multiplier=6.0, residual_multiplier=0.3, attention_multiplier=0.1, logits_scaling=4.0
    ),
    "granite with biases": case("Granite", attention_bias=True, mlp_bias=True, tie_word_embeddings=True),
    "granite with longrope": case("Granite", **BEYOND, attention_multiplier=0.25),
    "phi3": case("Phi3", dtype="float16", sliding_window=128),
    "phi3 within its first context": case("Phi3", **PHI, original_max_position_embeddings=512),
    "phi3 beyond its first context": case("Phi3", **BEYOND | PHI),
    "phi3 with partly rotated heads": case("Phi3", partial_rotary_factor=0.5),
    "stablelm": case("StableLm"),
    "stablelm with biases": case("StableLm", use_qkv_bias=True, partial_rotary_factor=0.5, tie_word_embeddings=True),
    "stablelm with yarn": case("StableLm", rope_scaling=YARN | {"mscale": 0.7, "mscale_all_dim": 0.4}),
    "stablelm 2 12b": case("StableLm", qk_layernorm=True, use_parallel_residual=True, dtype="float16"),
    "gemma2": case("Gemma2", **GEMMA, num_hidden_layers=3),
    "gemma2 with other caps": case(
        "Gemma2", **GEMMA, attn_logit_softcapping=2.0, final_logit_softcapping=1.5, dtype="float16"
    ),
    "gemma3": case("Gemma3", **GEMMA, num_hidden_layers=7),
    "gemma3 with scaled rope": case(
        "Gemma3", **GEMMA, rope_scaling={"rope_type": "linear", "factor": 8.0}, final_logit_softcapping=2.0,
        layer_types=["sliding_attention", "full_attention"], dtype="float16", tie_word_embeddings=False,
    ),
    "mixtral": case("Mixtral", num_local_experts=6, max_shard_size="100KB"),
    "mixtral in half precision": case("Mixtral", num_local_experts=4, num_experts_per_tok=3, dtype="float16"),
    "qwen3_moe": case("Qwen3Moe", **QWEN_EXPERTS),
    "qwen3_moe tied": case("Qwen3Moe", **QWEN_EXPERTS, head_dim=32, rope_scaling=YARN, tie_word_embeddings=True, dtype="float16"),
}  # fmt: skip


@pytest.fixture(scope="module")
def models(vocabulary, tmp_path_factory) -> ReferenceModels:
    return ReferenceModels.make(tmp_path_factory.mktemp("reference"), CASES, vocabulary)


def assert_same(got: np.ndarray, expected: np.ndarray, experts: bool) -> None:
    assert np.isfinite(got).all()
    assert expected.std() > 0.1, "the model says nothing, so it proves nothing"
    error = np.abs(got - expected).max(-1) / np.abs(expected).max()
    # The cache of keys and values is in half precision, hence not 1e-6; and where two experts are equally good for a
    # token, that decides which of them is asked.
    assert np.median(error) < 0.003
    assert (error > 0.03).sum() <= (2 if experts else 0)
    assert (got.argmax(-1) == expected.argmax(-1)).mean() > 0.97


@pytest.mark.parametrize("name", CASES)
def test_the_logits_are_those_of_transformers(models, name):
    assert_same(computed(models.folder / name), models.expected(name), experts=name.startswith(("mixtral", "qwen3_moe")))


@pytest.mark.parametrize(
    "name, field, value",
    [
        ("granite", "embedding_multiplier", 5.0),
        ("granite", "residual_multiplier", 0.4),
        ("granite", "attention_multiplier", 0.2),
        ("granite", "logits_scaling", 5.0),
        ("gemma2", "attn_logit_softcapping", 1.0),
        ("gemma2", "final_logit_softcapping", 1.0),
        ("gemma2", "sliding_window", 24),
        ("gemma3", "sliding_window", 24),
        ("gemma3", "rope_local_base_freq", 100.0),
        ("gemma3", "layer_types", ["full_attention"] + 6 * ["sliding_attention"]),
        ("stablelm", "partial_rotary_factor", 0.5),
        ("stablelm", "layer_norm_eps", 0.5),
        ("phi3", "partial_rotary_factor", 0.5),
        ("mixtral", "num_experts_per_tok", 3),
        ("yarn rope with its own factor", "rope_scaling", YARN),
    ],
)
def test_no_field_is_ignored(models, tmp_path, name, field, value):
    folder = shutil.copytree(models.folder / name, tmp_path / "changed")
    edit_config(folder, **{field: value})
    difference = np.abs(computed(folder) - models.expected(name)).max(-1)
    assert np.median(difference) > 0.03 * np.abs(models.expected(name)).max()


def newer_form(config: dict) -> dict:
    """The same configuration as transformers 5 writes it."""
    config = dict(config)
    scaling = config.pop("rope_scaling", None) or {}
    kind = scaling.pop("type", "default")
    rope = {"rope_type": kind, "rope_theta": config.pop("rope_theta")} | scaling
    if "partial_rotary_factor" in config:
        rope["partial_rotary_factor"] = config.pop("partial_rotary_factor")
    if "rope_local_base_freq" in config:
        local = {"rope_type": "default", "rope_theta": config.pop("rope_local_base_freq")}
        rope = {"full_attention": rope, "sliding_attention": local}
    if "num_experts" in config:
        config["num_local_experts"] = config.pop("num_experts")
    return config | {"rope_parameters": rope}


@pytest.mark.parametrize(
    "name",
    ["smollm3 with yarn", "phi3 beyond its first context", "stablelm with biases", "gemma3 with scaled rope", "qwen3_moe"],
)
def test_the_newer_form_of_the_configuration_means_the_same(models, tmp_path, name):
    folder = shutil.copytree(models.folder / name, tmp_path / "newer")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(newer_form(config)))
    assert computed(folder).tobytes() == computed(models.folder / name).tobytes()


def test_an_embedding_with_more_rows_than_the_tokenizer_has_tokens_keeps_them(models, vocabulary, tmp_path):
    folder = shutil.copytree(models.folder / "gemma3", tmp_path / "padded")
    vocabulary.first(TOKENS - 20).write(folder)
    assert computed(folder).tobytes() == computed(models.folder / "gemma3").tobytes()


def test_describe_names_the_architecture_and_its_class(models):
    described = describe(models.folder / "mixtral")
    assert (described["architecture"], described["model_type"]) == ("llama", "MixtralForCausalLM")
    assert described["loadable"] is True


# ------------------------------------------------------------------------------------------ contradictions


@pytest.mark.parametrize(
    "name, changes, named",
    [
        ("qwen3", {"head_dim": 16}, ["model.safetensors", "q_proj.weight", "head_dim"]),
        ("smollm3", {"intermediate_size": 128}, ["model.safetensors", "gate_proj.weight", "intermediate_size"]),
        ("phi3", {"num_key_value_heads": 4}, ["model.safetensors", "qkv_proj.weight", "num_key_value_heads"]),
        ("mixtral", {"num_local_experts": 7}, ["gate.weight", "number of experts"]),
        ("mixtral", {"num_experts_per_tok": 7}, ["num_experts_per_tok"]),
        ("qwen3_moe", {"moe_intermediate_size": 96}, ["experts.0.gate_proj.weight", "intermediate_size"]),
        ("qwen3_moe", {"norm_topk_prob": False}, ["norm_topk_prob"]),
        ("stablelm", {"use_qkv_bias": True}, ["q_proj.bias", "StableLmForCausalLM"]),
        ("stablelm", {"use_parallel_residual": True}, ["post_attention_layernorm", "no place"]),
        ("gemma2", {"query_pre_attn_scalar": 64}, ["query_pre_attn_scalar"]),
    ],
)
def test_a_configuration_that_contradicts_the_tensors_is_refused_by_name(models, tmp_path, name, changes, named):
    folder = shutil.copytree(models.folder / name, tmp_path / "m")
    edit_config(folder, **changes)
    reason = refused(folder)
    assert all(part in reason for part in named), reason


def test_a_missing_expert_is_named(models, tmp_path):
    folder = shutil.copytree(models.folder / "qwen3_moe", tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.experts.5.up_proj.weight"
    del tensors[name]
    save_file(tensors, folder / "model.safetensors")
    assert name in refused(folder)


def test_experts_of_different_types_are_refused_by_name(models, tmp_path):
    folder = shutil.copytree(models.folder / "qwen3_moe", tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.experts.5.up_proj.weight"
    tensors[name] = tensors[name].astype(np.float16)
    save_file(tensors, folder / "model.safetensors")
    assert name in refused(folder)
