"""Trains small SentencePiece models, and writes model folders that have them as their tokenizer."""

import io
import json
import random
from dataclasses import dataclass
from pathlib import Path

import sentencepiece
from model_maker import TinyModel, Vocabulary
from transformers import AutoTokenizer

ROWS = 1400
WORDS = (
    "the of and to in is that it was for on are with as his they be at one have this from or had by hot but some what "
    "there we can out other were all your when up use word how said an each she which do their time if will way about "
    "many then them would write like so these her long make thing see him two has look more day could go come did my "
    "sound no most number who over know water than call first people may down side been now find any new work part take "
    "get place made live where after back little only round man year came show every good me give our under name very "
    "through just form much great think say help low line before turn cause same mean differ move right boy old too does "
    "Größe Straße naïve façade garçon élève niño señor Привет мир текст данные слово 你好 世界 日本 中国 한국어 مرحبا שלום"
).split()


@dataclass
class Kind:
    """How a family trains its tokenizer, and what its tokenizer_config.json says."""

    name: str
    options: dict
    config: dict


LLAMA = Kind(
    "llama",
    {},
    {"tokenizer_class": "LlamaTokenizer", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"},
)
GEMMA_OWN = ["<mask>", "<start_of_turn>", "<end_of_turn>", "<table>", "</table>", "<h1>", "</h1>"]
GEMMA = Kind(
    "gemma",
    {
        "add_dummy_prefix": False,
        "pad_id": 0,
        "eos_id": 1,
        "bos_id": 2,
        "unk_id": 3,
        "pad_piece": "<pad>",
        "eos_piece": "<eos>",
        "bos_piece": "<bos>",
        "user_defined_symbols": GEMMA_OWN + ["\n" * n for n in range(1, 12)] + ["▁" * n for n in range(2, 17)],
    },
    {
        "tokenizer_class": "GemmaTokenizer",
        "bos_token": "<bos>",
        "eos_token": "<eos>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
    },
)


def sentences(texts: list[str]) -> list[str]:
    generator = random.Random(7)
    own = [" ".join(generator.choices(WORDS, k=12)) + generator.choice([".", "!", "?", ":"]) for _ in range(600)]
    return own + [line for text in texts for line in text.split("\n") if line.strip()]


def train(texts: list[str], **options) -> bytes:
    model = io.BytesIO()
    settings = {
        "model_type": "bpe",
        "vocab_size": ROWS - 10,
        "hard_vocab_limit": False,
        "byte_fallback": True,
        "character_coverage": 0.9995,
        "normalization_rule_name": "identity",
        "remove_extra_whitespaces": False,
        "allow_whitespace_only_pieces": True,
        "split_digits": True,
        "num_threads": 1,
        "minloglevel": 2,
    }
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences(texts)), model_writer=model, **(settings | options)
    )
    return model.getvalue()


def write_folder(folder: Path, kind: Kind, model: bytes, rows: int = ROWS) -> Path:
    """A model whose weights do not matter; its tokenizer is only the tokenizer.model."""
    vocabulary = Vocabulary([f"token {i}" for i in range(rows)], [1] * rows, [], "", 1, 2)
    TinyModel(vocabulary, hidden=16, feed_forward=16, layers=1, heads=1, kv_heads=1, tied=True).write(folder)
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(model)
    (folder / "tokenizer_config.json").write_text(json.dumps(kind.config))
    return folder


def convert(folder: Path) -> dict:
    """The tokenizer.json that transformers makes of the folder's tokenizer.model; replaces it."""
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    (folder / "tokenizer.model").unlink()
    return json.loads((folder / "tokenizer.json").read_text())


def append_token(tokenizer: dict, content: str, **flags) -> int:
    """One more added token, behind all others."""
    number = max([*tokenizer["model"]["vocab"].values(), *(t["id"] for t in tokenizer["added_tokens"])]) + 1
    usual = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    tokenizer["added_tokens"].append({"id": number, "content": content} | usual | flags)
    return number
