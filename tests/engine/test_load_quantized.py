"""--load-quantized: safetensors become a smaller type while they are loaded, and nothing is written."""

import json

import numpy as np
import pytest
from engine_process import Engine, last_line, probe, run_engine
from model_maker import TinyModel
from prompts import PROMPTS

REQUESTS = [{"text": prompt, "special": True, "logits": True} for prompt in PROMPTS]


def test_the_logits_are_those_of_a_gguf_that_llama_cpps_own_package_quantised(smollm2, smollm2_folder, tmp_path):
    reference = smollm2.write_gguf(tmp_path / "reference.gguf", "Q8_0", stored="BF16")
    files = sorted(smollm2_folder.iterdir())
    tokens, logits = probe(reference, REQUESTS)
    own_tokens, own_logits = probe(smollm2_folder, REQUESTS, quantised="Q8_0")
    assert own_tokens == tokens
    assert np.isfinite(logits).all()
    assert own_logits.tobytes() == logits.tobytes()
    assert sorted(smollm2_folder.iterdir()) == files


def relative_error(got: np.ndarray, expected: np.ndarray) -> float:
    return float(np.sqrt(((got - expected) ** 2).mean() / (expected**2).mean()))


# Unrelated logits would differ by 1.4; random weights suffer more than trained ones.
@pytest.mark.parametrize(
    "kind, error", [("Q8_0", 0.05), ("Q6_K", 0.15), ("Q5_K", 0.3), ("Q4_K", 0.45), ("Q5_1", 0.3), ("IQ4_NL", 0.6)]
)
def test_every_type_is_close_to_the_full_weights(vocabulary, tmp_path, kind, error):
    model = TinyModel(vocabulary.first(300), hidden=256, feed_forward=512, head_dim=64)
    folder = model.write(tmp_path / "m")
    _, full = probe(folder, REQUESTS[:1])
    _, quantised = probe(folder, REQUESTS[:1], quantised=kind)
    assert 0.001 < relative_error(quantised, full) < error


def test_rows_that_the_blocks_of_a_k_type_do_not_divide_get_the_type_with_smaller_blocks(vocabulary, tmp_path):
    folder = TinyModel(vocabulary.first(300), hidden=64, feed_forward=96).write(tmp_path / "m")
    _, smaller = probe(folder, REQUESTS[:1], quantised="Q5_0")
    assert probe(folder, REQUESTS[:1], quantised="Q4_K")[1].tobytes() == smaller.tobytes()
    assert probe(folder, REQUESTS[:1])[1].tobytes() != smaller.tobytes()


def test_rows_that_no_block_divides_stay_as_they_are(vocabulary, tmp_path):
    folder = TinyModel(vocabulary.first(300), hidden=40, heads=4, head_dim=10, feed_forward=80).write(tmp_path / "m")
    assert probe(folder, REQUESTS[:1], quantised="Q8_0")[1].tobytes() == probe(folder, REQUESTS[:1])[1].tobytes()


def test_the_engine_takes_the_flag(smollm2_folder):
    with Engine(smollm2_folder, "--load-quantized", "Q8_0") as engine:
        model = engine.post("/completion", {"prompt": "The capital of France is", "n_predict": 4, "temperature": 0})
        assert "Paris" in model["content"]
        size = json.loads(engine.request("GET", "/v1/models")[1])["data"][0]["meta"]["size"]
        # 34 bytes for 32 weights instead of 64; norms are small.
        assert size == pytest.approx(134515008 * 34 / 32, rel=0.01)


def test_an_unknown_type_is_refused_with_those_that_are_known(smollm2_folder):
    done = run_engine("--load-quantized", "Q9_9", "-m", smollm2_folder, "--host", "/nowhere/x.sock")
    assert done.returncode == 1
    assert "Q9_9" in last_line(done.stderr)
    assert "Q8_0" in last_line(done.stderr)


def test_a_gguf_cannot_be_quantised_while_it_is_loaded(smollm2_gguf, tmp_path):
    done = run_engine("--load-quantized", "Q8_0", "-m", smollm2_gguf, "--host", tmp_path / "x.sock")
    assert done.returncode == 1
    assert "--load-quantized is for safetensors" in last_line(done.stderr)
