"""A llama of any size with random weights in BF16, as safetensors and as a GGUF: the same numbers in both."""

import json
import pathlib
import struct
import sys

import gguf
import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests" / "engine"))

from model_maker import Vocabulary, hf_name, to_bf16, to_halves  # noqa: E402

HEAD_SIZE = 64
CONTEXT = 8192
EPSILON = 1e-5
ROPE_BASE = 100000.0


class RandomLlama:
    """Written tensor by tensor: only one is in memory."""

    def __init__(self, vocabulary: Vocabulary, hidden=2048, feed_forward=8192, layers=12, heads=32, kv_heads=8):
        self.vocabulary = vocabulary
        self.hidden, self.feed_forward, self.layers = hidden, feed_forward, layers
        self.heads, self.kv_heads = heads, kv_heads
        random = np.random.default_rng(1)
        self.noise = random.standard_normal(1 << 22, dtype=np.float32)

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """By llama.cpp's names, in their order."""
        hidden, query, key = self.hidden, self.heads * HEAD_SIZE, self.kv_heads * HEAD_SIZE
        shapes = {"token_embd.weight": (len(self.vocabulary.tokens), hidden)}
        for layer in range(self.layers):
            parts = {
                "attn_norm": (hidden,), "attn_q": (query, hidden), "attn_k": (key, hidden), "attn_v": (key, hidden),
                "attn_output": (hidden, query), "ffn_norm": (hidden,), "ffn_gate": (self.feed_forward, hidden),
                "ffn_up": (self.feed_forward, hidden), "ffn_down": (hidden, self.feed_forward),
            }  # fmt: skip
            shapes |= {f"blk.{layer}.{part}.weight": shape for part, shape in parts.items()}
        return shapes | {"output_norm.weight": (hidden,)}

    def parameters(self) -> int:
        return sum(int(np.prod(shape)) for shape in self.shapes().values())

    def kv_bytes(self, tokens: int) -> int:
        return 2 * 2 * self.layers * self.kv_heads * HEAD_SIZE * tokens

    def values(self, index: int, shape: tuple[int, ...]) -> np.ndarray:
        """In llama.cpp's order, as BF16 bits."""
        count = int(np.prod(shape))
        if len(shape) == 1:
            return to_bf16(np.ones(shape, dtype=np.float32))
        # The same noise at another place for each tensor.
        noise = np.resize(np.roll(self.noise, 7919 * index), count) / np.sqrt(shape[-1])
        return to_bf16(noise.astype(np.float32)).reshape(shape)

    def checkpoint_values(self, index: int, name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = self.values(index, shape)
        if ".attn_q." in name:
            return to_halves(values, self.heads)
        return to_halves(values, self.kv_heads) if ".attn_k." in name else values

    def write_folder(self, folder: pathlib.Path) -> pathlib.Path:
        folder.mkdir(parents=True)
        header, end = {"__metadata__": {"format": "pt"}}, 0
        for name, shape in self.shapes().items():
            begin, end = end, end + 2 * int(np.prod(shape))
            header[hf_name(name)] = {"dtype": "BF16", "shape": list(shape), "data_offsets": [begin, end]}
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with open(folder / "model.safetensors", "wb") as out:
            out.write(struct.pack("<Q", len(text)) + text)
            for index, (name, shape) in enumerate(self.shapes().items()):
                out.write(np.ascontiguousarray(self.checkpoint_values(index, name, shape)).data)
        (folder / "config.json").write_text(json.dumps(self.config()))
        self.vocabulary.write(folder)
        return folder

    def config(self) -> dict:
        return {
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": self.hidden, "intermediate_size": self.feed_forward, "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads, "num_hidden_layers": self.layers, "max_position_embeddings": CONTEXT,
            "rms_norm_eps": EPSILON, "rope_theta": ROPE_BASE, "rope_scaling": None,
            "vocab_size": len(self.vocabulary.tokens), "tie_word_embeddings": True, "torch_dtype": "bfloat16",
        }  # fmt: skip

    def write_gguf(self, path: pathlib.Path) -> pathlib.Path:
        writer = gguf.GGUFWriter(path, "llama", use_temp_file=False)
        writer.add_context_length(CONTEXT)
        writer.add_embedding_length(self.hidden)
        writer.add_block_count(self.layers)
        writer.add_feed_forward_length(self.feed_forward)
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_layer_norm_rms_eps(EPSILON)
        writer.add_rope_freq_base(ROPE_BASE)
        writer.add_rope_dimension_count(HEAD_SIZE)
        writer.add_vocab_size(len(self.vocabulary.tokens))
        writer.add_tokenizer_model("gpt2")
        writer.add_tokenizer_pre("smollm")
        writer.add_token_list(self.vocabulary.tokens)
        writer.add_token_types(self.vocabulary.types)
        writer.add_token_merges(self.vocabulary.merges)
        writer.add_bos_token_id(self.vocabulary.bos)
        writer.add_eos_token_id(self.vocabulary.eos)
        writer.add_add_bos_token(False)
        writer.add_chat_template(self.vocabulary.chat_template)
        kinds = gguf.GGMLQuantizationType
        for name, shape in self.shapes().items():
            kind, size = (kinds.F32, 4) if len(shape) == 1 else (kinds.BF16, 2)
            row = (*shape[:-1], shape[-1] * size)
            writer.add_tensor_info(name, row, np.dtype(np.uint8), int(np.prod(row)), raw_dtype=kind)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_ti_data_to_file()
        for index, (name, shape) in enumerate(self.shapes().items()):
            values = self.values(index, shape)
            wide = (values.astype("<u4") << 16).view("<f4") if len(shape) == 1 else values
            writer.write_tensor_data(wide)
        writer.close()
        return path
