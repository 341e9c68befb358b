"""A folder of safetensors is the same model as a GGUF of the same weights."""

import numpy as np
import pytest
from prompts import PROMPTS
from engine_process import describe, probe
from model_maker import TinyModel, write_weights
from refusals import edit_config, refused

REQUESTS = [{"text": prompt, "special": True, "logits": True} for prompt in PROMPTS]


@pytest.mark.parametrize("dtype", ["BF16", "F16"])
def test_the_logits_of_a_snapshot_are_those_of_its_gguf_bit_for_bit(smollm2, smollm2_folder, tmp_path, dtype):
    folder = smollm2_folder if dtype == "BF16" else smollm2.write_folder(tmp_path / "snapshot", dtype)
    reference = smollm2.write_gguf(tmp_path / "reference.gguf", dtype)
    own_tokens, own_logits = probe(folder, REQUESTS)
    tokens, logits = probe(reference, REQUESTS)
    assert own_tokens == tokens
    assert own_logits.size == sum(map(len, tokens)) * 49152
    assert np.isfinite(logits).all()
    assert own_logits.tobytes() == logits.tobytes()


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_a_sharded_snapshot_gives_the_logits_of_a_single_file(vocabulary, tmp_path, dtype):
    model = TinyModel(vocabulary.first(2000))
    _, own = probe(model.write(tmp_path / "sharded", dtype, shards=3), REQUESTS[:1])
    _, single = probe(model.write(tmp_path / "single", dtype), REQUESTS[:1])
    assert own.size > 0
    assert own.tobytes() == single.tobytes()


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
TINY = {
    "llama": {},
    "llama tied": {"tied": True},
    "llama with biases": {"bias": True},
    "llama with a head size of its own": {"head_dim": 32},
    "llama3 rope": {"rope_scaling": LLAMA3, "rope_theta": 500000.0},
    "linear rope": {"rope_scaling": {"rope_type": "linear", "factor": 4.0}},
    "mistral": {"kind": "mistral", "head_dim": 32},
    "qwen2": {"kind": "qwen2"},
    "qwen3": {"kind": "qwen3", "tied": True, "head_dim": 32},
}


@pytest.mark.parametrize("name", TINY)
def test_a_random_model_computes_what_its_architecture_defines(vocabulary, tmp_path, name):
    model = TinyModel(vocabulary.first(2000), **TINY[name])
    folder = model.write(tmp_path / "m", shards=1 + len(name) % 2)
    text = "A text that is long enough for positions to matter: 1, 2, 3 and on it goes, until the end of it. " * 2
    tokens, flat = probe(folder, [{"text": text, "logits": True}])
    got = flat.reshape(len(tokens[0]), -1).astype(np.float64)
    expected = model.logits(tokens[0])
    assert len(tokens[0]) > 60
    assert np.isfinite(got).all()
    assert (got.argmax(-1) == expected.argmax(-1)).mean() > 0.97
    # The cache of keys and values is in half precision, hence not 1e-6.
    assert np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


def test_rope_scaling_is_not_ignored(vocabulary, tmp_path):
    text = [{"text": "position matters " * 20, "logits": True}]
    plain = TinyModel(vocabulary.first(2000)).write(tmp_path / "plain")
    scaled = TinyModel(vocabulary.first(2000), rope_scaling=LLAMA3).write(tmp_path / "scaled")
    assert np.abs(probe(plain, text)[1] - probe(scaled, text)[1]).max() > 0.1


def test_describe_tells_what_the_headers_say(smollm2_folder, smollm2_gguf):
    folder, gguf = describe(smollm2_folder), describe(smollm2_gguf)
    common = {
        "architecture": "llama",
        "model_type": "LlamaForCausalLM",
        "parameter_count": 134515008,
        "context_length": 8192,
        "vocab_size": 49152,
        "layers": 30,
        "chat_template": True,
        "loadable": True,
    }
    assert common.items() <= folder.items()
    assert common.items() <= gguf.items()
    assert (folder["format"], folder["default_dtype"]) == ("safetensors", "torch.bfloat16")
    assert folder["tensor_bytes"] == 2 * 134515008
    assert (gguf["format"], gguf["default_dtype"], gguf["tensor_bytes"]) == ("gguf", "Q4_1", 96576768)


def test_describe_names_a_snapshot_after_its_repository(vocabulary, tmp_path):
    folder = tmp_path / "models--Some--tiny-model" / "snapshots" / ("0" * 40)
    TinyModel(vocabulary.first(300)).write(folder)
    assert describe(folder)["name"] == "Some/tiny-model"


# ------------------------------------------------------------------------------------------ refusals


@pytest.fixture
def tiny(vocabulary, tmp_path):
    return TinyModel(vocabulary.first(300)).write(tmp_path / "tiny")


def test_an_undescribed_architecture_is_named_with_what_works_instead(tiny):
    edit_config(tiny, architectures=["BloomForCausalLM"], model_type="bloom")
    assert "BloomForCausalLM" in refused(tiny)
    assert "GGUF" in refused(tiny)
    described = describe(tiny)
    assert described["loadable"] is False
    assert "BloomForCausalLM" in described["reason"]


@pytest.mark.parametrize(
    "changes, named",
    [
        ({"quantization_config": {"quant_method": "gptq"}}, "gptq"),
        ({"hidden_act": "gelu"}, "gelu"),
        ({"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}}, "dynamic"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "beta_fast": 16}}, "beta_fast"),
        ({"rope_scaling": {"rope_type": "longrope", "short_factor": [1.0], "long_factor": [1.0]}}, "short_factor"),
        ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
        ({"layer_types": ["full_attention", "sliding_attention"]}, "sliding_attention"),
        ({"num_hidden_layers": 0}, "num_hidden_layers"),
        ({"num_hidden_layers": 100000}, "num_hidden_layers"),
        ({"num_hidden_layers": 3}, "model.layers.2."),
        ({"num_hidden_layers": 1}, "model.layers.1."),
        ({"num_attention_heads": 3}, "num_attention_heads"),
        ({"num_attention_heads": 8, "num_key_value_heads": 8}, "num_attention_heads"),
        ({"rms_norm_eps": -1}, "rms_norm_eps"),
        ({"hidden_size": "64"}, "hidden_size"),
        ({"use_sliding_window": True}, "use_sliding_window"),
    ],
)
def test_a_configuration_that_cannot_be_honoured_is_refused_by_name(tiny, changes, named):
    edit_config(tiny, **changes)
    assert named in refused(tiny)


def test_a_tensor_without_a_place_is_not_dropped_in_silence(vocabulary, tmp_path):
    model = TinyModel(vocabulary.first(300))
    model.weights["model.layers.0.self_attn.q_norm.weight"] = np.ones(16, dtype=np.float32)
    assert "model.layers.0.self_attn.q_norm.weight" in refused(model.write(tmp_path / "m"))


def test_an_untied_model_without_its_output_is_refused(vocabulary, tmp_path):
    model = TinyModel(vocabulary.first(300), tied=False)
    del model.weights["lm_head.weight"]
    assert "lm_head.weight" in refused(model.write(tmp_path / "m"))


@pytest.mark.parametrize("keep", [0, 7, 8, 20, 1000, -1])
def test_a_truncated_file_is_refused(tiny, keep):
    file = tiny / "model.safetensors"
    file.write_bytes(file.read_bytes()[:keep])
    assert "model.safetensors" in refused(tiny)


def test_a_missing_shard_is_refused_by_name(vocabulary, tmp_path):
    folder = TinyModel(vocabulary.first(300)).write(tmp_path / "m", shards=2)
    (folder / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors" in refused(folder)


def test_an_index_cannot_name_files_outside_its_folder(vocabulary, tmp_path):
    folder = TinyModel(vocabulary.first(300)).write(tmp_path / "m", shards=2)
    index = folder / "model.safetensors.index.json"
    index.write_text(index.read_text().replace("model-00001", "../m/model-00001"))
    assert "../m/model-00001" in refused(folder)


def test_pickled_weights_are_never_opened(tiny):
    (tiny / "model.safetensors").unlink()
    (tiny / "pytorch_model.bin").write_bytes(b"\x80\x04.")
    assert "pytorch_model.bin" in refused(tiny)
    assert "never opened" in refused(tiny)


def test_another_weight_type_is_refused_by_name(tiny):
    file = tiny / "model.safetensors"
    file.write_bytes(file.read_bytes().replace(b'"F32"', b'"I32"'))
    assert "I32" in refused(tiny)


def test_a_model_with_nan_weights_is_still_described(vocabulary, tmp_path):
    model = TinyModel(vocabulary.first(300))
    folder = model.write(tmp_path / "m")
    write_weights(folder, {name: np.full_like(v, np.nan) for name, v in model.weights.items()}, "F32")
    assert describe(folder)["parameter_count"] == sum(v.size for v in model.weights.values())
