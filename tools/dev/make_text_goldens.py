#!/usr/bin/env python3
"""Makes tokenizers of every kind, and what the libraries that define them make of many texts.

Writes to --out: corpus.bin (texts), <case>.json (a tokenizer as naru's metadata has it), <ids>.bin
(expected ids) and cases.json, which names them. Vocabularies are trained here on texts made here,
except the one inside the SmolLM2 model.
"""

import argparse
import hashlib
import io
import json
import pathlib
import struct

import sentencepiece
import tokenizers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import text_corpus

COUNT = 6000
HERE = pathlib.Path(__file__).resolve()

# The pre-tokenizers of published tokenizer.json files, by the name that GGUF files have for them.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
END = r"\s*[\r\n]+|\s+(?!\S)|\s+"
LEAD = r"[^\r\n\p{L}\p{N}]?"


def cased(tail):
    return rf"{LEAD}{UPPER}*{LOWER}+{tail}|{LEAD}{UPPER}+{LOWER}*{tail}"


PATTERNS = {
    "gpt-2": [GPT2],
    "smollm": [r"\p{N}", GPT2],
    "llama-bpe": [rf"{CONTRACTION}|{LEAD}\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{END}"],
    "qwen2": [rf"{CONTRACTION}|{LEAD}\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{END}"],
    "qwen35": [rf"{CONTRACTION}|{LEAD}[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{END}"],
    "gpt-4o": [rf"{cased(CONTRACTION + '?')}|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{END}"],
    "tekken": [rf"{cased('')}|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{END}"],
    "exaone-moe": [rf"{CONTRACTION}|{LEAD}(?:\p{{L}}\p{{M}}*(?: \p{{L}}\p{{M}}*)*)+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]?|\s*[\r\n]|\s+(?!\S)|\s+"],
    "deepseek-llm": [r"[\r\n]", None, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}+"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-\ud7ff]+", r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", "[一-龥\u3040-ゟ゠-ヿ]+", rf"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{{|}}~][A-Za-z]+|[^\r\n\p{{L}}\p{{P}}\p{{S}}]?[\p{{L}}\p{{M}}]+| ?[\p{{P}}\p{{S}}]+[\r\n]*|{END}"],
    "falcon": [r"[\p{P}\$\+<=>\^~\|`]+", GPT2, "[0-9][0-9][0-9]"],
    "default": [r"[\p{P}\$\+<=>\^~\|]+", GPT2, r"\p{N}+", "[0-9][0-9][0-9]"],
    "bailingmoe": [r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"],
    "seed-coder": [rf"{CONTRACTION}|{LEAD}\p{{L}}+|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{END}"],
    "bloom": [r" ?[^(\s|.,!?…。，、।۔،)]+"],
}
# Its letters by escapes, so that no editor normalises them.
PATTERNS["deepseek-llm"][1] = (
    r"\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d"
    r"\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"
    r"\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59"
    r"\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4"
    r"\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e"
    r"\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf"
    r"\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3\U000104d8-\U000104fb\U00010c80-\U00010cb2"
    r"\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+"
).encode("ascii").decode("unicode_escape")
WHOLE_PIECES = {"llama-bpe", "tekken"}


class Writer:
    def __init__(self, out):
        self.out, self.cases = out, []
        self.corpus = text_corpus.make_corpus(COUNT)
        # The libraries take text: what is ill-formed becomes U+FFFD first, one for each part.
        self.texts = [data.decode("utf-8", "replace") for data in self.corpus]
        with open(out / "corpus.bin", "wb") as file:
            for data in self.corpus:
                file.write(struct.pack("<I", len(data)) + data)

    def ids(self, name, rows):
        with open(self.out / f"{name}.ids", "wb") as file:
            for row in rows:
                file.write(struct.pack(f"<I{len(row)}i", len(row), *row))

    def case(self, name, metadata, ids, parse_special=False, decoded=None):
        text = json.dumps(metadata, ensure_ascii=False)
        (self.out / f"{name}.json").write_text(text, encoding="utf-8", errors="strict")
        self.cases.append({"name": name, "metadata": f"{name}.json", "ids": f"{ids}.ids", "parse_special": parse_special})

    def huggingface(self, name, tokenizer, config=None, parse_special=(False, True)):
        for parse in parse_special:
            tokenizer.encode_special_tokens = not parse
            full = f"{name}-special" if parse else name
            self.ids(full, [e.ids for e in tokenizer.encode_batch(self.texts)])
            tokenizer.encode_special_tokens = False
            self.case(full, {"type": "huggingface", "tokenizer_json": json.loads(tokenizer.to_str()), "config": config or {}}, full, parse)


def byte_level_steps(patterns):
    steps = [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns]
    return pre_tokenizers.Sequence(steps + [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def write_byte_level(writer, texts):
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = byte_level_steps(PATTERNS["qwen2"])
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trained.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=3000, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    model = json.loads(trained.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    merges = [tuple(m) for m in model["merges"]]
    for name, patterns in PATTERNS.items():
        whole = name in WHOLE_PIECES
        tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges, ignore_merges=whole))
        tokenizer.pre_tokenizer = byte_level_steps(patterns)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens(special)
        writer.huggingface(f"hf-{name}", tokenizer, parse_special=(False,))
        writer.case(f"gguf-{name}", {
            "type": "gguf", "model": "gpt2", "pre": name, "tokens": tokens, "token_type": [3] * 3 + [1] * (len(tokens) - 3),
            "merges": [" ".join(m) for m in merges], "eos_token_id": 2, "add_bos_token": False}, f"hf-{name}")
    variants = {
        "bytelevel-regex": pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=True),
        "digits": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        "digit-runs": pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Punctuation("contiguous"),
                                               pre_tokenizers.ByteLevel(add_prefix_space=False)]),
        "merged": pre_tokenizers.Sequence([pre_tokenizers.Split(" ", "merged_with_next"), pre_tokenizers.Split(Regex(r"[,.]+"), "merged_with_previous"),
                                           pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
        "inverted": pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\w+"), "removed", invert=True),
                                             pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]),
    }
    for name, steps in variants.items():
        tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges))
        tokenizer.pre_tokenizer = steps
        tokenizer.decoder = decoders.ByteLevel()
        writer.huggingface(f"hf-{name}", tokenizer, parse_special=(False,))
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges))
        tokenizer.normalizer = getattr(normalizers, form)()
        tokenizer.pre_tokenizer = byte_level_steps([GPT2])
        tokenizer.decoder = decoders.ByteLevel()
        writer.huggingface(f"hf-{form.lower()}", tokenizer, parse_special=(False,))
    tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges))
    tokenizer.pre_tokenizer = byte_level_steps(PATTERNS["qwen2"])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(special + [AddedToken("<s>", lstrip=True), AddedToken("</s>", rstrip=True)])
    tokenizer.add_tokens([AddedToken("the", single_word=True), AddedToken("가나", normalized=False), "return", "   "])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[
        ("<s>", tokenizer.token_to_id("<s>")), ("</s>", tokenizer.token_to_id("</s>"))])
    writer.huggingface("hf-added", tokenizer)


def write_character_bpe(writer, texts):
    """The shape of Llama 2 and Mistral (marks by normaliser, bytes for the rest), and of Gemma."""
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    def trained(train_normalizer):
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.normalizer = train_normalizer
        tokenizer.pre_tokenizer = pre_tokenizers.Split("\u2581", "merged_with_next")
        tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
            vocab_size=2500, limit_alphabet=600, special_tokens=["<unk>", "<s>", "</s>"] + byte_tokens, show_progress=False))
        return json.loads(tokenizer.to_str())["model"]

    marks = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    model = trained(marks)
    merges = [tuple(m) for m in model["merges"]]
    def fresh():
        tokenizer = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True))
        tokenizer.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
        tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
        return tokenizer

    llama = fresh()
    llama.normalizer = marks
    llama.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    writer.huggingface("hf-llama2", llama)
    gemma = fresh()
    gemma.normalizer = normalizers.Replace(" ", "\u2581")
    gemma.pre_tokenizer = pre_tokenizers.Split(" ", "merged_with_previous")
    gemma.add_tokens(["\n\n", "<start_of_turn>"])
    writer.huggingface("hf-gemma", gemma)
    for scheme in ("always", "first", "never"):
        tokenizer = fresh()
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=scheme != "first")
        tokenizer.decoder = decoders.Metaspace(prepend_scheme=scheme)
        writer.huggingface(f"hf-metaspace-{scheme}", tokenizer)
    plain = Tokenizer(models.BPE(vocab=model["vocab"], merges=merges, unk_token="<unk>"))
    plain.pre_tokenizer = pre_tokenizers.Whitespace()
    writer.huggingface("hf-bpe-unknown", plain, parse_special=(False,))


def train_sentence_piece(texts, **options):
    model = io.BytesIO()
    lines = [line for text in texts for line in text.splitlines() if line.strip()]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=model, character_coverage=0.98, minloglevel=2, num_threads=1,
        hard_vocab_limit=False, **options)
    return sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()), model.getvalue()


def piece_type(sp, i):
    return 2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 5 if sp.is_unused(i) else 1


def precompiled_map(proto):
    from sentencepiece import sentencepiece_model_pb2
    model = sentencepiece_model_pb2.ModelProto.FromString(proto)
    return model.normalizer_spec.precompiled_charsmap


def gguf_pieces(sp, model, **more):
    count = sp.get_piece_size()
    return {"type": "gguf", "model": model, "tokens": [sp.id_to_piece(i) for i in range(count)], "scores": [sp.get_score(i) for i in range(count)],
            "token_type": [piece_type(sp, i) for i in range(count)], "unknown_token_id": sp.unk_id(), "bos_token_id": max(sp.bos_id(), 0),
            "eos_token_id": sp.eos_id(), "add_bos_token": False, "add_eos_token": False, **more}


def write_sentence_piece(writer, texts):
    sp, _ = train_sentence_piece(texts, model_type="bpe", vocab_size=2500, byte_fallback=True, normalization_rule_name="identity",
                                 remove_extra_whitespaces=False)
    writer.ids("gguf-llama", sp.encode(writer.texts))
    writer.case("gguf-llama", gguf_pieces(sp, "llama"), "gguf-llama")
    for name, fallback in (("t5", False), ("t5-bytes", True)):
        sp, proto = train_sentence_piece(texts, model_type="unigram", vocab_size=2500, byte_fallback=fallback)
        charsmap = precompiled_map(proto)
        writer.ids(f"gguf-{name}", sp.encode(writer.texts))
        writer.case(f"gguf-{name}", gguf_pieces(sp, "t5", precompiled_charsmap=list(charsmap), remove_extra_whitespaces=True), f"gguf-{name}")
        vocab = [(sp.id_to_piece(i), sp.get_score(i)) for i in range(sp.get_piece_size())]
        tokenizer = Tokenizer(models.Unigram(vocab, unk_id=sp.unk_id(), byte_fallback=fallback))
        tokenizer.normalizer = normalizers.Sequence([normalizers.Precompiled(charsmap), normalizers.Replace(Regex(" {2,}"), " ")])
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
        tokenizer.add_special_tokens(["<unk>", "<s>", "</s>"])
        # Without parsing them, the library's unigram model makes control tokens from text; naru never does.
        writer.huggingface(f"hf-{name}", tokenizer, parse_special=(True,))


def write_word_piece(writer, texts):
    for name, lower in (("bert", True), ("bert-cased", False)):
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower, strip_accents=None)
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        tokenizer.decoder = decoders.WordPiece()
        special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
        tokenizer.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=2500, limit_alphabet=900, special_tokens=special, show_progress=False))
        tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
        writer.huggingface(f"hf-{name}", tokenizer)
        vocab = tokenizer.get_vocab()
        tokens = sorted(vocab, key=vocab.get)
        marked = [t if t in special else t[2:] if t.startswith("##") else "\u2581" + t for t in tokens]
        writer.case(f"gguf-{name}", {
            "type": "gguf", "model": "bert", "tokens": marked, "token_type": [3] * 5 + [1] * (len(tokens) - 5), "bos_token_id": 2, "eos_token_id": 3,
            "seperator_token_id": 3, "unknown_token_id": 1, "padding_token_id": 0, "normalizer.lowercase": lower}, f"hf-{name}")
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase(), normalizers.StripAccents(), normalizers.Strip()])
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.train_from_iterator(texts, trainers.WordLevelTrainer(vocab_size=2000, special_tokens=["[UNK]"], show_progress=False))
    writer.huggingface("hf-words", words, parse_special=(False,))


def write_smollm(writer, path):
    import gguf_fields
    fields = gguf_fields.read(path, "tokenizer.")
    tokens, merges = fields["tokenizer.ggml.tokens"], fields["tokenizer.ggml.merges"]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=[tuple(m.split(" ")) for m in merges]))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.add_special_tokens([t for t, kind in zip(tokens, fields["tokenizer.ggml.token_type"]) if kind == 3])
    for parse in (False, True):
        tokenizer.encode_special_tokens = not parse
        name = "gguf-smollm2-special" if parse else "gguf-smollm2"
        writer.ids(name, [e.ids for e in tokenizer.encode_batch(writer.texts)])
        metadata = {key.removeprefix("tokenizer.ggml.").removeprefix("tokenizer."): value for key, value in fields.items()}
        writer.case(name, {"type": "gguf", **metadata, "add_bos_token": False}, name, parse)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--models", type=pathlib.Path, required=True)
    args = parser.parse_args()
    scripts = [HERE, HERE.with_name("text_corpus.py"), HERE.with_name("gguf_fields.py")]
    stamp = hashlib.sha256(b"".join(p.read_bytes() for p in scripts)).hexdigest() + tokenizers.__version__ + sentencepiece.__version__
    stamp_file = args.out / "stamp"
    if stamp_file.exists() and stamp_file.read_text() == stamp:
        return
    args.out.mkdir(parents=True, exist_ok=True)
    stamp_file.unlink(missing_ok=True)
    writer = Writer(args.out)
    texts = text_corpus.training_texts()
    write_byte_level(writer, texts)
    write_character_bpe(writer, texts)
    write_sentence_piece(writer, texts)
    write_word_piece(writer, texts)
    write_smollm(writer, args.models / "smollm2-135m-instruct-q4_1.gguf")
    (args.out / "cases.json").write_text(json.dumps(writer.cases, indent=1))
    stamp_file.write_text(stamp)
    print(f"{len(writer.cases)} cases of {COUNT} texts")


if __name__ == "__main__":
    main()
