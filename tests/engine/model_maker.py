"""Makes model folders and GGUF files for the tests: SmolLM2 from its GGUF, and tiny random models."""

import json
import math
import struct
from dataclasses import dataclass, field
from pathlib import Path

import gguf
import numpy as np

LLAMA3_SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2_SPLIT = LLAMA3_SPLIT.replace(r"\p{N}{1,3}", r"\p{N}")
QWEN35_SPLIT = QWEN2_SPLIT.replace(r"?\p{L}+", r"?[\p{L}\p{M}]+").replace(r"\s\p{L}\p{N}", r"\s\p{L}\p{M}\p{N}")
CAPITALS, SMALL = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
OTHERS = r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def cased_split(suffix: str, digits: str) -> str:
    front = r"[^\r\n\p{L}\p{N}]?"
    return rf"{front}{CAPITALS}*{SMALL}+{suffix}|{front}{CAPITALS}+{SMALL}*{suffix}|{digits}" + OTHERS


TEKKEN_SPLIT = cased_split("", r"\p{N}")
GPT4O_SPLIT = cased_split("(?i:'s|'t|'re|'ve|'m|'ll|'d)?", r"\p{N}{1,3}")
DEEPSEEK_CODER_SPLITS = ["[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+"]
DEEPSEEK_V3_SPLITS = [
    r"\p{N}{1,3}",
    "[一-龥぀-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
    "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
]


def byte_level(use_regex: bool) -> dict:
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": use_regex}


DIGITS = {"type": "Digits", "individual_digits": True}


def split(pattern: str, behavior: str = "Isolated", invert: bool = False) -> dict:
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps: dict) -> dict:
    return {"type": "Sequence", "pretokenizers": list(steps)}


def split_on(pattern: str) -> dict:
    return sequence(split(pattern), byte_level(False))


PRE_TOKENIZERS = {
    "smollm": sequence(DIGITS, byte_level(True)),
    "gpt-2": byte_level(True),
    "llama-bpe": split_on(LLAMA3_SPLIT),
    "dbrx": sequence(split(LLAMA3_SPLIT, "Removed", True), byte_level(False)),
    "qwen2": split_on(QWEN2_SPLIT),
    "qwen35": split_on(QWEN35_SPLIT),
    "tekken": split_on(TEKKEN_SPLIT),
    "gpt-4o": split_on(GPT4O_SPLIT),
    "deepseek-coder": sequence(*map(split, DEEPSEEK_CODER_SPLITS), DIGITS, byte_level(False)),
    "deepseek-v3": sequence(*map(split, DEEPSEEK_V3_SPLITS), byte_level(False)),
}
CASED = ["tekken", "gpt-4o"]  # words end where small letters are followed by a capital
NORMALISED = ["qwen2", "qwen35"]  # by NFC
WHOLE_TOKENS_FIRST = ["llama-bpe", "tekken"]


# ---------------------------------------------------------------------------------------------- safetensors


def to_dtype(values: np.ndarray, dtype: str) -> bytes:
    """Values in the bytes of a safetensors dtype; BF16 rounds to nearest even."""
    if dtype == "F32":
        return values.astype("<f4").tobytes()
    if dtype == "F16":
        return values.astype("<f2").tobytes()
    assert dtype == "BF16", dtype
    return to_bf16(values).tobytes()


def to_bf16(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values, dtype="<f4").view("<u4")
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def rounded(values: np.ndarray, dtype: str) -> np.ndarray:
    """What is left of the values after they were stored as `dtype`."""
    if dtype == "F32":
        return values.astype(np.float32)
    if dtype == "F16":
        return values.astype(np.float16).astype(np.float32)
    return (to_bf16(values).astype("<u4") << 16).view("<f4").reshape(values.shape)


def safetensors_bytes(tensors: dict[str, np.ndarray], dtype: str) -> bytes:
    header, data = {"__metadata__": {"format": "pt"}}, bytearray()
    for name, values in tensors.items():
        raw = to_dtype(values, dtype)
        header[name] = {
            "dtype": dtype,
            "shape": list(values.shape),
            "data_offsets": [len(data), len(data) + len(raw)],
        }
        data += raw
    return assemble(header, bytes(data))


def assemble(header: dict, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def write_weights(folder: Path, tensors: dict[str, np.ndarray], dtype: str, shards: int = 1) -> None:
    if shards == 1:
        (folder / "model.safetensors").write_bytes(safetensors_bytes(tensors, dtype))
        return
    names, weight_map = list(tensors), {}
    for i in range(shards):
        part = names[i::shards]
        file = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        (folder / file).write_bytes(safetensors_bytes({name: tensors[name] for name in part}, dtype))
        weight_map.update({name: file for name in part})
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


# ---------------------------------------------------------------------------------------------- tokenizers


@dataclass
class Vocabulary:
    """The vocabulary of SmolLM2 as its GGUF has it."""

    tokens: list[str]
    types: list[int]
    merges: list[str]
    chat_template: str
    bos: int
    eos: int

    @staticmethod
    def of(reader: gguf.GGUFReader) -> "Vocabulary":
        def get(key):
            return reader.fields[key].contents()

        return Vocabulary(
            get("tokenizer.ggml.tokens"),
            get("tokenizer.ggml.token_type"),
            get("tokenizer.ggml.merges"),
            get("tokenizer.chat_template"),
            get("tokenizer.ggml.bos_token_id"),
            get("tokenizer.ggml.eos_token_id"),
        )

    def first(self, count: int) -> "Vocabulary":
        """Only the first `count` tokens and the merges among them."""
        known = set(self.tokens[:count])
        merges = [m for m in self.merges if all(p in known for p in (*m.split(" "), m.replace(" ", "")))]
        return Vocabulary(self.tokens[:count], self.types[:count], merges, self.chat_template, self.bos, self.eos)

    def added(self) -> list[dict]:
        flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
        return [
            {"id": i, "content": token, **flags, "special": kind == 3}
            for i, (token, kind) in enumerate(zip(self.tokens, self.types))
            if kind != 1
        ]

    def tokenizer_json(self, pre: str, merges_as_pairs: bool = False) -> dict:
        merges = [m.split(" ") for m in self.merges] if merges_as_pairs else self.merges
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": self.added(),
            "normalizer": {"type": "NFC"} if pre in NORMALISED else None,
            "pre_tokenizer": PRE_TOKENIZERS[pre],
            "post_processor": None,
            "decoder": byte_level(True),
            "model": {
                "type": "BPE",
                "dropout": None,
                "unk_token": None,
                "continuing_subword_prefix": None,
                "end_of_word_suffix": None,
                "fuse_unk": False,
                "byte_fallback": False,
                "ignore_merges": pre in WHOLE_TOKENS_FIRST,
                "vocab": {token: i for i, token in enumerate(self.tokens)},
                "merges": merges,
            },
        }

    def write(self, folder: Path, pre: str = "smollm", merges_as_pairs: bool = False) -> None:
        text = json.dumps(self.tokenizer_json(pre, merges_as_pairs), ensure_ascii=False)
        (folder / "tokenizer.json").write_text(text)
        config = {
            "bos_token": self.tokens[self.bos],
            "eos_token": {"content": self.tokens[self.eos]},
            "unk_token": self.tokens[0],
            "pad_token": self.tokens[self.eos],
            "chat_template": self.chat_template,
            "tokenizer_class": "GPT2Tokenizer",
        }
        (folder / "tokenizer_config.json").write_text(json.dumps(config))


# ---------------------------------------------------------------------------------------------- SmolLM2

HF_NAMES = {
    "token_embd": "model.embed_tokens",
    "output_norm": "model.norm",
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}


def hf_name(name: str) -> str:
    stem = name.removesuffix(".weight")
    if not stem.startswith("blk."):
        return HF_NAMES[stem] + ".weight"
    _, layer, part = stem.split(".")
    return f"model.layers.{layer}.{HF_NAMES[part]}.weight"


def to_halves(values: np.ndarray, heads: int) -> np.ndarray:
    """Rows from llama.cpp's order (adjacent pairs) to the checkpoint's (two halves per head)."""
    return values.reshape(heads, values.shape[0] // heads // 2, 2, -1).swapaxes(1, 2).reshape(values.shape)


class SmolLm2:
    """The test model in full precision, taken from its quantised GGUF."""

    def __init__(self, path: Path):
        self.reader = gguf.GGUFReader(path)
        self.vocabulary = Vocabulary.of(self.reader)
        self.heads, self.kv_heads = self.field("attention.head_count"), self.field("attention.head_count_kv")
        self.weights = {
            t.name: gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float32) for t in self.reader.tensors
        }

    def field(self, key: str):
        return self.reader.fields["llama." + key].contents()

    def config(self, dtype: str) -> dict:
        return {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "hidden_size": self.field("embedding_length"),
            "intermediate_size": self.field("feed_forward_length"),
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "num_hidden_layers": self.field("block_count"),
            "max_position_embeddings": self.field("context_length"),
            "rms_norm_eps": 1e-05,
            "rope_theta": 100000,
            "rope_scaling": None,
            "vocab_size": self.field("vocab_size"),
            "tie_word_embeddings": True,
            "torch_dtype": {"BF16": "bfloat16", "F16": "float16", "F32": "float32"}[dtype],
        }

    def write_folder(self, folder: Path, dtype: str, shards: int = 1) -> Path:
        folder.mkdir(parents=True)
        tensors = {}
        for name, values in self.weights.items():
            if ".attn_q." in name:
                values = to_halves(values, self.heads)
            if ".attn_k." in name:
                values = to_halves(values, self.kv_heads)
            tensors[hf_name(name)] = values
        write_weights(folder, tensors, dtype, shards)
        (folder / "config.json").write_text(json.dumps(self.config(dtype)))
        self.vocabulary.write(folder)
        return folder

    def write_gguf(self, path: Path, dtype: str, stored: str | None = None) -> Path:
        """The same weights in the same type, written by llama.cpp's own Python package.

        `stored`: the type that a checkpoint had before they were quantised to `dtype`.
        """
        writer = gguf.GGUFWriter(path, "llama")
        writer.add_context_length(self.field("context_length"))
        writer.add_embedding_length(self.field("embedding_length"))
        writer.add_block_count(self.field("block_count"))
        writer.add_feed_forward_length(self.field("feed_forward_length"))
        writer.add_head_count(self.heads)
        writer.add_head_count_kv(self.kv_heads)
        writer.add_layer_norm_rms_eps(1e-05)
        writer.add_rope_freq_base(100000.0)
        writer.add_rope_dimension_count(64)
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
        kind = gguf.GGMLQuantizationType[dtype]
        for name, values in self.weights.items():
            own = gguf.GGMLQuantizationType.F32 if values.ndim == 1 else kind
            # Weights pass through the checkpoint's type before they are widened or quantised.
            values = rounded(values, stored or dtype) if values.ndim == 1 or stored else values
            writer.add_tensor(name, gguf.quants.quantize(values, own), raw_dtype=own)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return path


# ---------------------------------------------------------------------------------------------- tiny random models


@dataclass
class TinyModel:
    """A random model of a described architecture, and what it must compute."""

    vocabulary: Vocabulary
    kind: str = "llama"  # llama, mistral, qwen2, qwen3
    hidden: int = 64
    feed_forward: int = 96
    layers: int = 2
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 16
    tied: bool = False
    bias: bool = False
    rope_theta: float = 10000.0
    rope_scaling: dict | None = None
    context: int = 512
    seed: int = 1
    weights: dict[str, np.ndarray] = field(default_factory=dict)

    CLASSES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}

    def __post_init__(self):
        random = np.random.default_rng(self.seed)

        def matrix(rows, columns):
            return (random.standard_normal((rows, columns)) / math.sqrt(columns)).astype(np.float32)

        def vector(size):
            return (1 + 0.1 * random.standard_normal(size)).astype(np.float32)

        w = self.weights
        w["model.embed_tokens.weight"] = matrix(len(self.vocabulary.tokens), self.hidden)
        for i in range(self.layers):
            p = f"model.layers.{i}."
            shapes = {
                "q": (self.heads * self.head_dim, self.hidden),
                "k": (self.kv_heads * self.head_dim, self.hidden),
                "v": (self.kv_heads * self.head_dim, self.hidden),
                "o": (self.hidden, self.heads * self.head_dim),
            }
            for name, shape in shapes.items():
                w[p + f"self_attn.{name}_proj.weight"] = 2 * matrix(*shape)
                if (self.kind == "qwen2" and name != "o") or self.bias:
                    w[p + f"self_attn.{name}_proj.bias"] = matrix(shape[0], 1)[:, 0]
            if self.kind == "qwen3":
                w[p + "self_attn.q_norm.weight"] = vector(self.head_dim)
                w[p + "self_attn.k_norm.weight"] = vector(self.head_dim)
            w[p + "mlp.gate_proj.weight"] = matrix(self.feed_forward, self.hidden)
            w[p + "mlp.up_proj.weight"] = matrix(self.feed_forward, self.hidden)
            w[p + "mlp.down_proj.weight"] = matrix(self.hidden, self.feed_forward)
            w[p + "input_layernorm.weight"] = vector(self.hidden)
            w[p + "post_attention_layernorm.weight"] = vector(self.hidden)
        w["model.norm.weight"] = vector(self.hidden)
        if not self.tied:
            w["lm_head.weight"] = matrix(len(self.vocabulary.tokens), self.hidden)

    def config(self) -> dict:
        config = {
            "architectures": [self.CLASSES[self.kind] + "ForCausalLM"],
            "model_type": self.kind,
            "hidden_act": "silu",
            "hidden_size": self.hidden,
            "intermediate_size": self.feed_forward,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.kv_heads,
            "head_dim": self.head_dim,
            "num_hidden_layers": self.layers,
            "max_position_embeddings": self.context,
            "rms_norm_eps": 1e-06,
            "rope_theta": self.rope_theta,
            "vocab_size": len(self.vocabulary.tokens),
            "tie_word_embeddings": self.tied,
            "torch_dtype": "float32",
        }
        if self.rope_scaling:
            config["rope_scaling"] = self.rope_scaling
        return config

    def write(self, folder: Path, dtype: str = "F32", shards: int = 1, pre: str = "smollm") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps(self.config()))
        write_weights(folder, self.weights, dtype, shards)
        self.vocabulary.write(folder, pre)
        return folder

    # What the model computes, after the published definition of these architectures, in double precision.

    def frequencies(self) -> np.ndarray:
        frequencies = self.rope_theta ** -(np.arange(0, self.head_dim, 2) / self.head_dim)
        scaling = self.rope_scaling
        if not scaling:
            return frequencies
        if scaling["rope_type"] == "linear":
            return frequencies / scaling["factor"]
        low, high = scaling["low_freq_factor"], scaling["high_freq_factor"]
        turns = scaling["original_max_position_embeddings"] * frequencies / (2 * math.pi)
        blend = np.clip((turns - low) / (high - low), 0, 1)
        return frequencies * ((1 - blend) / scaling["factor"] + blend)

    def rotate(self, x: np.ndarray) -> np.ndarray:
        """x: [positions, heads, head_dim], rotated in halves."""
        angles = np.arange(x.shape[0])[:, None] * self.frequencies()[None, :]
        cos, sin = np.cos(angles)[:, None, :], np.sin(angles)[:, None, :]
        first, second = np.split(x, 2, axis=-1)
        return np.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1)

    def logits(self, tokens: list[int], dtype: str = "F32") -> np.ndarray:
        w = {name: rounded(values, dtype).astype(np.float64) for name, values in self.weights.items()}

        def norm(x, weight):
            return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-6) * weight

        def project(x, name):
            return x @ w[name + ".weight"].T + w.get(name + ".bias", 0.0)

        x, count = w["model.embed_tokens.weight"][tokens], len(tokens)
        mask = np.where(np.tri(count, dtype=bool), 0.0, -np.inf)
        for i in range(self.layers):
            p = f"model.layers.{i}."
            y = norm(x, w[p + "input_layernorm.weight"])
            q = project(y, p + "self_attn.q_proj").reshape(count, self.heads, self.head_dim)
            k = project(y, p + "self_attn.k_proj").reshape(count, self.kv_heads, self.head_dim)
            v = project(y, p + "self_attn.v_proj").reshape(count, self.kv_heads, self.head_dim)
            if self.kind == "qwen3":
                q = norm(q, w[p + "self_attn.q_norm.weight"])
                k = norm(k, w[p + "self_attn.k_norm.weight"])
            q, k = self.rotate(q), self.rotate(k)
            group = self.heads // self.kv_heads
            k, v = k.repeat(group, axis=1), v.repeat(group, axis=1)
            scores = np.einsum("qhd,khd->hqk", q, k) / math.sqrt(self.head_dim) + mask
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            mixed = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v)
            x = x + project(mixed.reshape(count, -1), p + "self_attn.o_proj")
            y = norm(x, w[p + "post_attention_layernorm.weight"])
            gate = project(y, p + "mlp.gate_proj")
            x = x + project(gate / (1 + np.exp(-gate)) * project(y, p + "mlp.up_proj"), p + "mlp.down_proj")
        x = norm(x, w["model.norm.weight"])
        return x @ w["model.embed_tokens.weight" if self.tied else "lm_head.weight"].T
