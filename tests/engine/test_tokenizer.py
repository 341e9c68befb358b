"""Token ids are those of the reference tokenizer library, for every pre-tokenizer that is accepted."""

import json
import random
import unicodedata

import pytest
from engine_process import ends_of_generation, last_line, probe, run_engine
from model_maker import CASED, NORMALISED, PRE_TOKENIZERS, TinyModel
from tokenizers import Tokenizer

TEXTS = [
    "",
    " ",
    "  ",
    "\n",
    "\n\n\n",
    "\r\n\r\n",
    "\t\t \t",
    "a",
    " a",
    "a ",
    "  leading and trailing   ",
    "Hello, world! How're you? I'LL be there, WE'VE seen it; don't",
    "It's 3.14159, 1,000,000 or 12345678901234567890; v1.2.3-rc4 and 0x7fFF",
    "def f(x):\n    return {\n        'a': x ** 2,\n    }\n\n\n\tif x:\n\t\tpass",
    "https://example.org/a_b-c?d=e&f=%20#g user@example.org C:\\dir\\file.txt",
    "Größe, naïve, façade, Ærøskøbing, İstanbul, ŁÓDŹ, ñandú, čeština",
    "Привет, мир! Ещё раз: объём 5 м²",
    "你好，世界！我想在apple工作1314151天～ 日本語のテキスト、한국어 텍스트",
    "مرحبا بالعالم ١٢٣ שלום עולם नमस्ते दुनिया १२३ កាន់តែពិសេសអាច ไทย",
    "🚀 (normal) 😶‍🌫️ (joined) 👨‍👩‍👧‍👦 🇩🇪🇫🇷 ✅ 🦙🦙 👍🏽 ❤️",
    "zero\u200bwidth\u200djoin\ufeffbom soft\u00adhyphen nb\u00a0space em\u2003space line\u2028sep",
    "e\u0301 combining, ½ ² Ⅳ ① ﬁ ligature",
    "------======= ''''''```````\"\"\"\"......!!!!!!?????? <<>> {{}} [[]] ~~ @@ ##",
    "\x00\x01\x07 control \x1b[31m\x7f",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "text<|endoftext|>text <|endoftext|> <file_sep><filename>a.py",
    "<|im_start|><|im_start|> <|im_end|x> <|unknown|> <| im_end |>",
    "x" * 300,
    "ab " * 100,
    "\n \n\n \n\n\n \t \t\t \t\n  \n   \n    \n     \n3 33 333 3333 33333 333333 3.3 3..3 3...3",
]
ALPHABET = list("abzXYZ019  \n\t\r.,'\"-_!?éßЖя你ا१🚀\u00a0\u0301\u200d²") + ["'s", "'LL", "  ", "<|im_end|>"]


def random_texts(count: int, alphabet: list[str] = ALPHABET) -> list[str]:
    generator = random.Random(20240229)
    return ["".join(generator.choices(alphabet, k=generator.randint(1, 40))) for _ in range(count)]


def is_cased_otherwise(character: str) -> bool:
    """llama.cpp's expression for these tokenizers takes letters outside ASCII for capital and small, and no marks."""
    return not character.isascii() and unicodedata.category(character) in ("Lu", "Ll", "Lt", "Mn", "Mc", "Me")


@pytest.fixture
def folder(vocabulary, tmp_path):
    """A model whose weights do not matter, with the whole vocabulary of SmolLM2."""
    return TinyModel(vocabulary, hidden=16, feed_forward=16, layers=1, heads=1, kv_heads=1, tied=True).write(
        tmp_path / "m"
    )


@pytest.mark.parametrize("merges_as_pairs", [False, True])
@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_token_ids_are_those_of_the_reference(folder, vocabulary, pre, merges_as_pairs):
    vocabulary.write(folder, pre, merges_as_pairs)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = TEXTS + random_texts(300)
    if pre in NORMALISED:  # llama.cpp does not normalise; text that is normalised already must be the same
        texts = [reference.normalizer.normalize_str(text) for text in texts]
    if pre in CASED:
        texts = [text for text in texts if not any(map(is_cased_otherwise, text))]
        texts += random_texts(300, [*(c for c in ALPHABET if not is_cased_otherwise(c[0])), "camelCase", "XMLHttp", "/"])
    expected = [reference.encode(text, add_special_tokens=False).ids for text in texts]
    got, _ = probe(folder, [{"text": text, "special": True} for text in texts], vocab_only=True)
    wrong = [(text, a, b) for text, a, b in zip(texts, got, expected, strict=True) if a != b]
    assert not wrong, f"{len(wrong)} of {len(texts)}, first: {wrong[0]}"


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_added_tokens_take_white_space_along_as_the_reference_does(folder):
    def change(content):
        content["added_tokens"][1].update(lstrip=True, rstrip=True)
        content["added_tokens"][2].update(rstrip=True)

    edit(folder / "tokenizer.json", change)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = TEXTS + random_texts(100) + ["<|im_start|> \u3000\n a \n<|im_start|>", "x\t<|im_end|>\n\u2003<|im_start|>x  "]
    got, _ = probe(folder, [{"text": text, "special": True} for text in texts], vocab_only=True)
    assert got == [reference.encode(text, add_special_tokens=False).ids for text in texts]


def test_a_template_that_puts_the_first_token_in_front_is_obeyed(folder, vocabulary):
    bos = vocabulary.tokens[vocabulary.bos]
    processor = {
        "type": "TemplateProcessing",
        "single": [{"SpecialToken": {"id": bos, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [],
        "special_tokens": {bos: {"id": bos, "ids": [vocabulary.bos], "tokens": [bos]}},
    }
    edit(folder / "tokenizer.json", lambda content: content.update(post_processor=processor))
    tokens, _ = probe(folder, [{"text": "Hi", "special": True}], vocab_only=True)
    plain = Tokenizer.from_file(str(folder / "tokenizer.json")).encode("Hi", add_special_tokens=False).ids
    assert tokens[0] == [vocabulary.bos, *plain]


def test_an_ordinary_token_with_the_name_of_a_special_one_is_no_special_one(folder, vocabulary):
    """llama.cpp looks for "</s>" in texts although it is nothing but a token that no merge makes, as in qwen's."""

    def change(content):
        vocab = content["model"]["vocab"]
        token = next(t for t, i in vocab.items() if i == len(vocab) - 1)
        content["model"]["merges"] = [m for m in content["model"]["merges"] if token not in [*m.split(" "), m.replace(" ", "")]]
        vocab["</s>"] = vocab.pop(token)

    edit(folder / "tokenizer.json", change)
    reference = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = ["<s>out</s> of date", *TEXTS]
    got, _ = probe(folder, [{"text": text, "special": True} for text in texts], vocab_only=True)
    assert got == [reference.encode(text, add_special_tokens=False).ids for text in texts]


ENDS = {
    "one": (0, None, set()),
    "a list": ([0, 500, 501], None, {500, 501}),
    "in both files": ([0, 500], [501, 500], {500, 501}),
    "some that llama.cpp knows by name": ([0, 2, 600, 500], None, {500, 600}),
    "without a row": ([500, 10**6, -1, "x"], None, {500}),
}


@pytest.mark.parametrize("name", ENDS)
def test_a_generation_ends_at_every_id_of_eos_token_id(folder, vocabulary, name):
    listed, in_config, expected = ENDS[name]
    before = set(ends_of_generation(folder))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": listed}))
    if in_config is not None:
        edit(folder / "config.json", lambda config: config.update(eos_token_id=in_config))
    assert vocabulary.eos in before
    assert set(ends_of_generation(folder)) == before | expected


def test_more_ends_than_llama_cpp_can_be_told_are_refused(folder):
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [500, 501, 502]}))
    assert "eos_token_id" in refused(folder)


def test_rows_beyond_the_vocabulary_are_allowed(vocabulary, tmp_path):
    model = TinyModel(vocabulary.first(500))
    model.vocabulary = vocabulary.first(490)
    config = model.config() | {"vocab_size": 500}
    folder = model.write(tmp_path / "m")
    (folder / "config.json").write_text(json.dumps(config))
    tokens, logits = probe(folder, [{"text": "a", "logits": True}])
    assert logits.size == 500 * len(tokens[0])


def refused(folder) -> str:
    done = run_engine("-m", folder, "--host", folder / "never.sock")
    assert done.returncode == 1, done.stderr
    line = last_line(done.stderr)
    assert line.startswith("error: "), done.stderr
    return line


UNKNOWN = {"type": "Sequence", "pretokenizers": [{"type": "Whitespace"}, {"type": "ByteLevel"}]}
CHANGES = {
    "an unknown pre-tokenizer": (lambda t: t.update(pre_tokenizer=UNKNOWN), "Whitespace"),
    "no pre-tokenizer": (lambda t: t.update(pre_tokenizer=None), "pre-tokenizer"),
    "a known one with another normalizer": (lambda t: t.update(normalizer={"type": "NFKC"}), "NFKC"),
    "digits in groups": (
        lambda t: t["pre_tokenizer"]["pretokenizers"][0].update(individual_digits=False),
        "digits | bytes:regex",
    ),
    "a prefix space": (
        lambda t: t["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True),
        "prefix_space",
    ),
    "whole tokens before merges": (lambda t: t["model"].update(ignore_merges=True), "ignore_merges"),
    "a WordPiece model": (lambda t: t["model"].update(type="WordPiece"), "WordPiece"),
    "a byte-level model that claims to be SentencePiece": (
        lambda t: t["model"].update(byte_fallback=True),
        "SentencePiece",
    ),
    "a token twice": (lambda t: t["model"]["vocab"].update({"twice": 7}), "id 7"),
    "an id beyond the rows": (lambda t: t["model"]["vocab"].update({"far": 10**6}), "embedding rows"),
    "a negative id": (lambda t: t["model"]["vocab"].update({"minus": -1}), "minus"),
    "an added token for whole words": (lambda t: t["added_tokens"][3].update(single_word=True), "single_word"),
    "a merge of what is no token": (lambda t: t["model"]["merges"].append("qqqq zzzz"), "qqqq zzzz"),
    "merges that are numbers": (lambda t: t["model"].update(merges=[1, 2]), "merges"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_tokenizer_that_would_give_other_tokens_is_refused(folder, name):
    change, named = CHANGES[name]
    edit(folder / "tokenizer.json", change)
    assert named in refused(folder)


def test_a_folder_without_any_tokenizer_says_so(folder):
    (folder / "tokenizer.json").unlink()
    assert "tokenizer.json is missing" in refused(folder)


def test_a_missing_end_of_sequence_is_not_guessed(folder):
    edit(folder / "tokenizer_config.json", lambda config: config.pop("eos_token"))
    assert "eos_token" in refused(folder)


def test_broken_json_names_the_file(folder):
    (folder / "tokenizer.json").write_text('{"model": ')
    assert "tokenizer.json" in refused(folder)
