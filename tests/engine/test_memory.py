"""What an engine takes of the machine's memory: weights stay in their files, and unused context takes none."""

from pathlib import Path

import pytest
from engine_process import Engine, probe
from model_maker import SmolLm2, TinyModel
from prompts import PROMPTS

WEIGHTS = 2 * 134515008  # SmolLM2 in 16 bits
REQUESTS = [{"text": prompt, "special": True, "logits": True} for prompt in PROMPTS]


def memory(engine: Engine) -> dict[str, int]:
    lines = Path(f"/proc/{engine.process.pid}/status").read_text().splitlines()
    pairs = (line.split(":") for line in lines)
    return {name: int(value.split()[0]) * 1024 for name, value in pairs if name.startswith(("Rss", "VmHWM"))}


def test_the_weights_of_a_snapshot_stay_in_their_file(smollm2_folder):
    with Engine(smollm2_folder) as engine:
        in_place = memory(engine)
    with Engine(smollm2_folder, "--load-mode", "none") as engine:
        copied = memory(engine)
    assert copied["RssFile"] < 0.5 * WEIGHTS
    assert in_place["RssFile"] > 0.8 * WEIGHTS
    # Queries and keys change their order, so they are copied.
    assert in_place["RssAnon"] < copied["RssAnon"] - 0.8 * WEIGHTS
    assert in_place["VmHWM"] < copied["VmHWM"] + 0.1 * WEIGHTS


@pytest.mark.parametrize("dtype", ["BF16", "F16", "F32"])
def test_weights_in_their_file_and_copied_ones_give_the_same_logits(vocabulary, tmp_path, dtype):
    folder = TinyModel(vocabulary.first(2000)).write(tmp_path / "m", dtype, shards=2)
    in_place = probe(folder, REQUESTS)
    copied = probe(folder, REQUESTS, load_mode="none")
    assert in_place[0] == copied[0]
    assert in_place[1].size > 0
    assert in_place[1].tobytes() == copied[1].tobytes()


@pytest.mark.parametrize("shift", range(1, 8))
def test_weights_may_begin_at_any_byte_of_their_file(vocabulary, tmp_path, shift):
    folder = TinyModel(vocabulary.first(300)).write(tmp_path / "m", "BF16")
    expected = probe(folder, REQUESTS[:1])[1]
    file = folder / "model.safetensors"
    whole = file.read_bytes()
    end = 8 + int.from_bytes(whole[:8], "little")
    header = whole[8:end] + b" " * shift
    file.write_bytes(len(header).to_bytes(8, "little") + header + whole[end:])
    got = probe(folder, REQUESTS[:1])[1]
    assert got.size > 0
    assert got.tobytes() == expected.tobytes()


def test_context_takes_memory_when_it_is_used(smollm2_gguf):
    cells, bytes_per_cell = 32768, 2 * 2 * 30 * 192
    with Engine(smollm2_gguf, "-c", str(cells), "-np", "4") as engine:
        idle = memory(engine)
        assert idle["RssAnon"] < 0.6 * cells * bytes_per_cell
        prompt = "one two three four five six seven eight nine ten " * 25
        answer = engine.post("/completion", {"prompt": prompt, "n_predict": 1, "temperature": 0})
        assert answer["tokens_evaluated"] > 200
        used = memory(engine)["RssAnon"] - idle["RssAnon"]
        assert used > 200 * bytes_per_cell


def test_unused_context_is_zero_as_the_computation_expects(smollm2: SmolLm2, smollm2_gguf):
    """A long context, most of it never written, computes what a short one does."""
    answers = []
    for context in ("2048", "32768"):
        with Engine(smollm2_gguf, "-c", context, "-np", "1") as engine:
            body = {"prompt": "The capital of France is", "n_predict": 16, "temperature": 0, "n_probs": 1}
            answer = engine.post("/completion", body)
            answers.append((answer["content"], answer["completion_probabilities"]))
    assert answers[0] == answers[1]
