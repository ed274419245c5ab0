#!/usr/bin/env python3
"""Writes the seeds of the tokenizer fuzzer: small vocabularies of each kind with a text each."""

import json
import pathlib
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

TEXT = "나루 is 12 <s> it's\n\n  né 가"


def huggingface(model, **parts):
    tokenizer = Tokenizer(model)
    for name, part in parts.items():
        setattr(tokenizer, name, part)
    tokenizer.add_special_tokens(["<s>"])
    tokenizer.add_tokens([AddedToken("is", single_word=True, lstrip=True, rstrip=True)])
    return {"type": "huggingface", "tokenizer_json": json.loads(tokenizer.to_str()),
            "config": {"bos_token": "<s>", "chat_template": "{{ x }}"}, "generation_config": {"eos_token_id": [0]}}


def seeds():
    letters = ["<unk>", "▁", "i", "s", "▁i", "▁is", "n", "가", "<0x41>"]
    vocab = {t: i for i, t in enumerate(letters)}
    merges = [("▁", "i"), ("▁i", "s")]
    bpe = models.BPE(vocab=vocab, merges=merges, unk_token="<unk>", byte_fallback=True, fuse_unk=True)
    yield "llama2", huggingface(
        bpe, normalizer=normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁"), normalizers.NFC()]),
        decoder=decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]),
        post_processor=processors.TemplateProcessing(single="<unk> $A", special_tokens=[("<unk>", 0)]))
    pattern = r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
    byte_vocab = {"Ġ": 0, "i": 1, "s": 2, "Ġi": 3, "Ċ": 4, "ê": 5}
    yield "bytes", huggingface(
        models.BPE(vocab=byte_vocab, merges=[("Ġ", "i")], ignore_merges=True), decoder=decoders.ByteLevel(),
        pre_tokenizer=pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.Digits(True),
                                               pre_tokenizers.ByteLevel(add_prefix_space=True, use_regex=False)]))
    yield "unigram", huggingface(
        models.Unigram([("<unk>", 0.0), ("▁is", -1.5), ("▁", -2.0), ("가", -3.0)], unk_id=0), normalizer=normalizers.NFKC(),
        pre_tokenizer=pre_tokenizers.Metaspace(prepend_scheme="first"), decoder=decoders.Metaspace())
    yield "wordpiece", huggingface(
        models.WordPiece(vocab={"[UNK]": 0, "is": 1, "i": 2, "##s": 3}, unk_token="[UNK]"), normalizer=normalizers.BertNormalizer(),
        pre_tokenizer=pre_tokenizers.BertPreTokenizer(), decoder=decoders.WordPiece(),
        post_processor=processors.BertProcessing(("is", 1), ("[UNK]", 0)))
    common = {"type": "gguf", "tokens": letters, "scores": [0, -1, -2, -3, -4, -5, -6, -7, -8], "token_type": [2, 1, 1, 1, 1, 1, 1, 1, 6],
              "bos_token_id": 1, "eos_token_id": 0, "unknown_token_id": 0}
    yield "gguf_llama", {**common, "model": "llama"}
    yield "gguf_t5", {**common, "model": "t5", "remove_extra_whitespaces": True,
                      "precompiled_charsmap": [8, 0, 0, 0, 0, 4, 0, 0, 97, 1, 0, 0, 98, 0]}
    yield "gguf_bert", {**common, "model": "bert", "normalizer.lowercase": True}
    yield "gguf_gpt2", {**common, "model": "gpt2", "pre": "exaone", "tokens": list(byte_vocab) + ["<s>"], "token_type": [1] * 6 + [3],
                        "merges": ["Ġ i"]}


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus/tokenizer")
    folder.mkdir(parents=True, exist_ok=True)
    for name, metadata in seeds():
        (folder / name).write_bytes(json.dumps(metadata, ensure_ascii=False).encode() + b"\0" + TEXT.encode())


if __name__ == "__main__":
    main()
