"""Tiny random models made by transformers, with the logits it computes for them. Runs in build/venv-reference.

    reference_models.py FOLDER < {"cases": {NAME: {"class": ..., "config": {...}, ...}}, "prompts": [[id, ...], ...]}

writes FOLDER/NAME/ (config.json, safetensors) and FOLDER/NAME/logits.npy: one row for each position of each prompt.
"""

import json
import math
import sys
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))
import old_torch  # noqa: E402, F401  (before transformers)

import numpy as np  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402


def scatter(model: torch.nn.Module, seed: int) -> None:
    """Weights with which every part of the model matters: the usual first weights are too small for that."""
    random = torch.Generator().manual_seed(seed)
    for name, weight in model.named_parameters():
        noise = torch.randn(weight.shape, generator=random)
        if weight.dim() > 1:
            strong = any(part in name for part in ("q_proj", "k_proj", "qkv_proj", "block_sparse_moe.gate", "mlp.gate."))
            weight.data = noise * ((2 if strong else 1) / math.sqrt(weight.shape[-1]))
        elif name.endswith("bias"):
            weight.data = 0.3 * noise
        else:  # a norm: as it is after construction (0 or 1), a little moved
            weight.data = weight.data + 0.2 * noise


def make(folder: Path, case: dict, prompts: list[list[int]], seed: int) -> None:
    model_class = getattr(transformers, case["class"] + "ForCausalLM")
    model = model_class(model_class.config_class(**case["config"], attn_implementation="eager")).eval()
    scatter(model, seed)
    dtype = getattr(torch, case.get("dtype", "float32"))
    model.to(dtype).save_pretrained(folder, max_shard_size=case.get("max_shard_size", "1GB"))
    model.float()
    with torch.no_grad():
        logits = [model(torch.tensor([prompt]), use_cache=False).logits[0] for prompt in prompts]
    np.save(folder / "logits.npy", torch.cat(logits).numpy())


def main() -> None:
    torch.set_num_threads(1)
    # It expects a bias in norms that have none; the weights it would set are replaced anyway.
    transformers.models.stablelm.modeling_stablelm.StableLmPreTrainedModel._init_weights = lambda *_: None
    asked = json.load(sys.stdin)
    for name, case in asked["cases"].items():
        make(Path(sys.argv[1]) / name, case, asked["prompts"], zlib.crc32(name.encode()))


if __name__ == "__main__":
    main()
