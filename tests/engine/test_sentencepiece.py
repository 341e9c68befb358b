"""Token ids of SentencePiece tokenizers are those of the sentencepiece and tokenizers libraries."""

import json

import pytest
import sentencepiece
from engine_process import Engine, last_line, probe, run_engine
from sentencepiece_maker import GEMMA, LLAMA, append_token, convert, train, write_folder
from test_tokenizer import TEXTS, random_texts
from tokenizers import Tokenizer

ESCAPED = "▁▁ a text with the escape ▁ itself▁"
CHAT = [
    "<s>Hi",
    "<s> Hi",
    "a<s>b </s> c",
    "<s>[INST] a question [/INST] an answer</s>[INST]  another[/INST]",
    "<start_of_turn>user\nHi there<end_of_turn>\n<start_of_turn>model\n",
    "<table><h1> x </h1></table><unk>",
    "<|user|>\n\n  hello <|end|> \t\n<|assistant|>\u00a0\u3000x<|end|>",
    "a" + " " * 40 + "b" + "\n" * 30 + "c",
    "=" * 45 + "-" * 17 + "aaaaaaaaaaa lalalalala mississippi",
    ESCAPED,
]


@pytest.fixture(scope="module")
def llama_model():
    return train(TEXTS, **LLAMA.options)


@pytest.fixture(scope="module")
def gemma_model():
    return train(TEXTS, **GEMMA.options)


def compare(folder, encode, texts):
    got, _ = probe(folder, [{"text": text, "special": True} for text in texts], vocab_only=True)
    expected = [encode(text) for text in texts]
    wrong = [(text, a, b) for text, a, b in zip(texts, got, expected, strict=True) if a != b]
    assert not wrong, f"{len(wrong)} of {len(texts)}, first: {wrong[0]}"


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


# ------------------------------------------------------------------------------------------- tokenizer.model


@pytest.mark.parametrize("kind", [LLAMA, GEMMA], ids=lambda kind: kind.name)
def test_a_tokenizer_model_alone_gives_the_ids_of_sentencepiece(llama_model, gemma_model, kind, tmp_path):
    folder = write_folder(tmp_path / "m", kind, llama_model if kind is LLAMA else gemma_model)
    edit(folder / "tokenizer_config.json", lambda config: config.update(add_bos_token=False))
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    # sentencepiece does not look for control tokens in texts.
    texts = [text for text in TEXTS + CHAT + random_texts(400) if "<s>" not in text and "<unk>" not in text]
    assert len(texts) > 400
    compare(folder, reference.encode, texts)


def test_pieces_of_its_own_do_not_open_a_text_anew(tmp_path):
    """As in mistral's third version: "[REFERENCE_DOC_1]"."""
    folder = write_folder(tmp_path / "m", LLAMA, train(TEXTS, user_defined_symbols=["[REF]", "<a▁b>", "[REF]]"]))
    edit(folder / "tokenizer_config.json", lambda config: config.update(add_bos_token=False))
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    texts = ["[REF]", " [REF]", "x[REF]y", "[REF] y[REF]]", "a<a b>c <a b> d", "", " ", *random_texts(100)]
    compare(folder, reference.encode, texts)
    got, _ = probe(folder, [{"text": "x</s>[REF]y</s> z", "special": True}], vocab_only=True)
    assert got == [[*reference.encode("x"), 2, *reference.encode("[REF]y"), 2, *reference.encode(" z")]]


def test_without_a_tokenizer_json_the_first_token_is_put_in_front(llama_model, tmp_path):
    folder = write_folder(tmp_path / "m", LLAMA, llama_model)
    reference = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    compare(folder, lambda text: [1, *reference.encode(text)], ["a text", ""])


def test_tokens_that_are_added_beside_a_tokenizer_model_are_found(llama_model, tmp_path):
    folder = write_folder(tmp_path / "m", LLAMA, llama_model)
    size = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model")).vocab_size()
    end, tool = size, size + 1
    (folder / "added_tokens.json").write_text(json.dumps({"<|end|>": end, "<|far|>": 10**6}))
    added = {str(tool): {"content": "<tool>", "special": False, "rstrip": True}}
    edit(folder / "tokenizer_config.json", lambda config: config.update(added_tokens_decoder=added))
    got, _ = probe(folder, [{"text": "<|end|><tool>  <|end|>", "special": True}], vocab_only=True)
    assert got == [[1, end, tool, end]]


# -------------------------------------------------------------------------------------------- tokenizer.json

LEGACY = {
    "type": "Sequence",
    "normalizers": [
        {"type": "Prepend", "prepend": "▁"},
        {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
    ],
}


def as_phi3(tokenizer):
    """Every added token takes the white space behind it along, but for a few."""
    tokenizer.update(normalizer=LEGACY, pre_tokenizer=None)
    for content in ["<|endoftext|>", "<|assistant|>", "<|end|>", "<|user|>"]:
        append_token(tokenizer, content, rstrip=content != "<|endoftext|>")
    next(token for token in tokenizer["added_tokens"] if token["content"] == "</s>").update(rstrip=True, special=False)


def with_strange_tokens(tokenizer):
    append_token(tokenizer, "<|left|>", lstrip=True)
    append_token(tokenizer, "<|both|>", lstrip=True, rstrip=True, special=False)
    append_token(tokenizer, "<|end|>")
    append_token(tokenizer, "<|end|>>")


FORMS = {
    "as transformers writes it": (LLAMA, lambda t: None),
    "with the steps of 2023": (LLAMA, lambda t: t.update(normalizer=LEGACY, pre_tokenizer=None)),
    "a space before every part": (LLAMA, lambda t: t["pre_tokenizer"].update(prepend_scheme="always")),
    "never a space": (LLAMA, lambda t: t["pre_tokenizer"].update(prepend_scheme="never")),
    "phi-3": (LLAMA, as_phi3),
    "tokens that take white space along": (LLAMA, with_strange_tokens),
    "merges as texts": (LLAMA, lambda t: t["model"].update(merges=[" ".join(m) for m in t["model"]["merges"]])),
    "gemma": (GEMMA, lambda t: None),
    "gemma without pre-tokenizer": (GEMMA, lambda t: t.update(pre_tokenizer=None)),
    "gemma with tokens for images": (GEMMA, lambda t: append_token(t, "<image_soft_token>")),
}


@pytest.fixture
def json_folder(llama_model, gemma_model, tmp_path):
    def make(kind, change=lambda tokenizer: None, rows=None):
        folder = write_folder(tmp_path / "m", kind, llama_model if kind is LLAMA else gemma_model, **(rows or {}))
        convert(folder)
        edit(folder / "tokenizer.json", change)
        return folder

    return make


@pytest.mark.parametrize("form", FORMS)
def test_a_tokenizer_json_gives_the_ids_of_tokenizers(json_folder, form):
    folder = json_folder(*FORMS[form])
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    strange = [f"{a}<|left|>{b}<|both|>{a}<|end|>{b}<|end|>>{a}" for a in ["", " ", "x", "\n x \u2003"] for b in ["", " y "]]
    compare(folder, lambda text: reference.encode(text, add_special_tokens=False).ids, TEXTS + CHAT + strange + random_texts(400))


def test_the_server_core_gives_the_same_ids(json_folder):
    folder = json_folder(LLAMA)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    with Engine(folder) as engine:
        for text in ["Hello, world", " Hello", "<s>Hello</s> there"]:
            body = {"content": text, "add_special": False, "parse_special": True}
            assert engine.post("/tokenize", body)["tokens"] == reference.encode(text, add_special_tokens=False).ids


def test_an_added_token_without_a_row_is_left_out(json_folder, gemma_model):
    size = sentencepiece.SentencePieceProcessor(model_proto=gemma_model).vocab_size()
    folder = json_folder(GEMMA, lambda t: append_token(t, "<image_soft_token>"), rows={"rows": size})
    got, _ = probe(folder, [{"text": "a<image_soft_token>", "special": True}], vocab_only=True)
    assert max(got[0]) < size and len(got[0]) > 5


# ------------------------------------------------------------------------------------------------- refusals


def refused(folder) -> str:
    done = run_engine("-m", folder, "--host", folder / "never.sock")
    assert done.returncode == 1, done.stderr
    line = last_line(done.stderr)
    assert line.startswith("error: "), done.stderr
    return line


def swap_far_merges(tokenizer):
    """The first merge of one token goes behind the merges of others."""
    merges = tokenizer["model"]["merges"]
    merges.append(merges.pop(next(i for i, m in enumerate(merges) if len(m[0] + m[1]) > 4)))


CHANGES = {
    "merges that are not together": (swap_far_merges, "merges"),
    "a merge is missing": (lambda t: t["model"]["merges"].pop(300), "merges are not all"),
    "a merge of something unknown": (lambda t: t["model"]["merges"].insert(5, ["qqq", "zzz"]), "'qqq'"),
    "a merge twice": (lambda t: t["model"]["merges"].append(t["model"]["merges"][7]), "twice"),
    "merges that are numbers": (lambda t: t["model"].update(merges=[1]), "merges"),
    "no merges": (lambda t: t["model"].pop("merges"), "merges"),
    "a byte without a token": (lambda t: t["model"]["vocab"].pop("<0xE2>"), "<0xE2>"),
    "an unknown normaliser": (lambda t: t.update(normalizer={"type": "NFKC"}), "NFKC"),
    "words before merging": (lambda t: t["pre_tokenizer"].update(split=True), "split"),
    "whole pieces first": (lambda t: t["model"].update(ignore_merges=True), "ignore_merges"),
    "a token for whole words": (lambda t: append_token(t, "word", single_word=True), "single_word"),
    "a unigram model": (lambda t: t["model"].update(type="Unigram"), "Unigram"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_tokenizer_json_that_would_give_other_tokens_is_refused(json_folder, name):
    change, named = CHANGES[name]
    line = refused(json_folder(LLAMA, change))
    assert "tokenizer.json" in line and named in line


MODELS = {
    "a unigram model": ({"model_type": "unigram", "vocab_size": 900}, "'unigram'"),
    "texts that are normalised": ({"normalization_rule_name": "nmt_nfkc"}, "precompiled_charsmap"),
    "spaces that are removed": ({"remove_extra_whitespaces": True}, "remove_extra_whitespaces"),
    "spaces behind words": ({"treat_whitespace_as_suffix": True}, "treat_whitespace_as_suffix"),
    "no bytes": ({"byte_fallback": False}, "<0x00>"),
}


@pytest.mark.parametrize("name", MODELS)
def test_a_tokenizer_model_that_would_give_other_tokens_is_refused(name, tmp_path):
    options, named = MODELS[name]
    line = refused(write_folder(tmp_path / "m", LLAMA, train(TEXTS, **options)))
    assert "tokenizer.model" in line and named in line


DAMAGE = {
    "empty": (lambda b: b"", "no pieces"),
    "cut off": (lambda b: b[: len(b) // 3], "cut off"),
    "not protobuf": (lambda b: b"\xff" * 100, "cut off"),
    "a length beyond the end": (lambda b: b"\x0a\xff\xff\xff\xff\x0f" + b, "cut off"),
    "a piece that is not UTF-8": (lambda b: b.replace(b"<s>", b"\xff\xfe>", 1), "UTF-8"),
    "a piece twice": (lambda b: b[: 2 + b[1]] + b, "same text"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_broken_tokenizer_model_names_file_and_field(llama_model, name, tmp_path):
    change, named = DAMAGE[name]
    line = refused(write_folder(tmp_path / "m", LLAMA, change(llama_model), rows=4000))
    assert "tokenizer.model" in line and named in line
