#!/usr/bin/env python3
"""Compares language models in naru with llama.cpp: greedy tokens and perplexity, variant by variant.

  llm_parity.py [--variants F16,Q4_K_M] [--prompts N] [--tokens N] [--perplexity-tokens N] [--device D] [--naru PROGRAM]

With --device, that device's greedy tokens are compared with those of the cpu device in place of llama.cpp's, both with
--exact: they compute the same in f32, in another order.

The variants are made from SmolLM2-135M with llama-quantize. naru computes with --exact: weights as stored, activations
in f32. llama.cpp rounds activations to 8 bits where weights are quantised (to 16 where they are f16), so a second run of
it, on the same weights written out in f32, shows what that rounding alone changes. Where texts differ, the gap is the
logit of naru's token less that of llama.cpp's, both naru's; under 1e-2 the two are a tie within either's rounding.
Perplexity is over windows of 512 tokens of which the second half counts, as llama-perplexity defines it.
"""
import argparse
import json
import os
import pathlib
import pydoc_data.topics
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tools" / "dev"))
import gguf_fields  # noqa: E402

DEPS = (ROOT / ".deps").resolve()
BASE = DEPS / "models" / "smollm2-135m-instruct-q4_1.gguf"
PEER = DEPS / "peers" / "llama.cpp" / "bin"
WORK = DEPS / "peers" / "variants"
VARIANTS = ["Q4_1", "F16", "Q8_0", "Q4_0", "Q5_K_M", "Q4_K_M", "Q6_K", "IQ4_XS"]
TIE = 1e-2
WINDOW = 512


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, **options)
    if done.returncode != 0:
        sys.exit(f"llm_parity: {command[0]} failed:\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done


def quantised(source, kind):
    """`source` as `kind`; what is not made of whole blocks gets the nearest kind that llama.cpp allows."""
    target = WORK / f"{source.stem}-as-{kind}.gguf"
    if not target.exists():
        WORK.mkdir(parents=True, exist_ok=True)
        partial = target.with_suffix(".part")
        run(PEER / "llama-quantize", "--allow-requantize", source, partial, kind)
        os.replace(partial, target)
    return target


def variant(kind):
    return BASE if kind == "Q4_1" else quantised(BASE, kind)


def token_bytes(text):
    """The bytes of a byte-level token: printable ones stand for themselves, others for letters from U+0100 on."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    letters = {chr(byte): byte for byte in kept}
    letters.update((chr(256 + i), byte) for i, byte in enumerate(b for b in range(256) if b not in kept))
    return bytes(letters[letter] for letter in text) if all(letter in letters for letter in text) else text.encode()


def vocabulary():
    return [token_bytes(text) for text in gguf_fields.read(BASE, "tokenizer.ggml.tokens")["tokenizer.ggml.tokens"]]


def peer_text(model, prompt, tokens):
    """What llama.cpp goes on with. It ends before an end token."""
    text = run(PEER / "llama-simple", "-m", model, "-n", tokens, "-ngl", 0, prompt).stdout
    begin = text.find(prompt.encode())
    if begin < 0:
        sys.exit(f"llm_parity: llama-simple did not repeat its prompt: {text[:200]!r}")
    return text[begin + len(prompt.encode()):].removesuffix(b"\n")


def naru_tokens(naru, model, prompt, tokens, device="cpu"):
    done = run(naru, "generate", model, "--prompt", prompt, "--max-tokens", tokens, "--exact", "--logprobs", 40, "--json",
               "--device", device)
    report = json.loads(done.stdout)
    ended = report["metrics"]["finish"] == "end"
    return report["tokens"][:-1] if ended else report["tokens"]


def compare(words, tokens, other):
    """None when alike; else the first token that differs and naru's logit gap to the one llama.cpp went on with."""
    done = b""
    for index, token in enumerate(tokens):
        if not other.startswith(done + words[token["id"]]):
            rest = other[len(done):]
            fitting = [top["logprob"] for top in token["top"]
                       if top["id"] != token["id"] and words[top["id"]] and rest.startswith(words[top["id"]])]
            return index, token["logprob"] - max(fitting) if fitting else None
        done += words[token["id"]]
    return None if other.removesuffix(b"\n") == done.removesuffix(b"\n") else (len(tokens), None)


def gap_text(gap):
    return "not among the top 40" if gap is None else f"{gap:.4f}"


def greedy(naru, words, kind, prompts, count):
    model, written_out = variant(kind), quantised(variant(kind), "F32")
    same, same_f32, explained, differences = 0, 0, 0, []
    for number, prompt in enumerate(prompts):
        tokens = naru_tokens(naru, model, prompt, count)
        difference = compare(words, tokens, peer_text(model, prompt, count))
        f32 = compare(words, tokens, peer_text(written_out, prompt, count))
        same += difference is None
        same_f32 += f32 is None
        for peer, found in (("", difference), (" in f32", f32)):
            if found is None:
                continue
            tie = found[1] is not None and found[1] < TIE
            explained += tie and peer == ""
            differences.append(f"    prompt {number}, token {found[0]}: gap {gap_text(found[1])} to llama.cpp{peer}"
                               f"{', a tie' if tie else ''}")
    print(f"{kind:7} greedy: {same} of {len(prompts)} as llama.cpp, {explained} differ by ties;"
          f" {same_f32} as llama.cpp in f32")
    print("\n".join(differences), flush=True) if differences else None
    return {"same": same, "ties": explained, "same_f32": same_f32, "prompts": len(prompts)}


def between_devices(naru, kind, device, prompts, count):
    """The tokens of `device` against those of cpu; a difference's gap is between cpu's logits."""
    same, explained, differences = 0, 0, []
    for number, prompt in enumerate(prompts):
        ours, expected = (naru_tokens(naru, variant(kind), prompt, count, name) for name in (device, "cpu"))
        pairs = zip((token["id"] for token in ours), expected)
        first = next((index for index, (own, token) in enumerate(pairs) if own != token["id"]), None)
        if first is None and len(ours) == len(expected):
            same += 1
            continue
        gap = None
        if first is not None:
            token = expected[first]
            gap = next((token["logprob"] - top["logprob"] for top in token["top"] if top["id"] == ours[first]["id"]), None)
        tie = gap is not None and gap < TIE
        explained += tie
        differences.append(f"    prompt {number}, token {first}: gap {gap_text(gap)}{', a tie' if tie else ''}")
    print(f"{kind:7} greedy: {same} of {len(prompts)} prompts on {device} as on cpu, {explained} differ by ties")
    print("\n".join(differences), flush=True) if differences else None
    return {"device": device, "same": same, "ties": explained, "prompts": len(prompts)}


def perplexity_text(tokens):
    """Python's own language reference, long enough; about 4 bytes are a token."""
    text = "\n".join(pydoc_data.topics.topics[name] for name in sorted(pydoc_data.topics.topics))
    path = WORK / "perplexity.txt"
    WORK.mkdir(parents=True, exist_ok=True)
    path.write_text(text[:tokens * 4])
    return path


def peer_perplexity(model, text):
    answer = run(PEER / "llama-perplexity", "-m", model, "-f", text, "-c", WINDOW, "-b", WINDOW, "-ngl", 0)
    found = re.search(rb"Final estimate: PPL = ([0-9.]+)", answer.stdout + answer.stderr)
    if found is None:
        sys.exit("llm_parity: llama-perplexity printed no estimate")
    return float(found.group(1))


def perplexities(naru, kind, text):
    model = variant(kind)
    done = run(naru, "perplexity", model, text, "--window", WINDOW, "--exact", "--json")
    ours = json.loads(done.stdout)
    theirs, theirs_f32 = peer_perplexity(model, text), peer_perplexity(quantised(model, "F32"), text)
    ratio, ratio_f32 = ours["perplexity"] / theirs - 1, ours["perplexity"] / theirs_f32 - 1
    print(f"{kind:7} perplexity over {ours['windows'] * WINDOW} tokens: naru {ours['perplexity']:.4f}, llama.cpp {theirs:.4f}"
          f" ({100 * ratio:+.3f} %), in f32 {theirs_f32:.4f} ({100 * ratio_f32:+.3f} %)", flush=True)
    return {"naru": ours["perplexity"], "peer": theirs, "difference": ratio, "peer_f32": theirs_f32,
            "difference_f32": ratio_f32}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--naru", type=pathlib.Path, default=ROOT / "build" / "release" / "bin" / "naru")
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--prompts", type=int, default=32, help="of those in llm_prompts.json; 0: no generation")
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--perplexity-tokens", type=int, default=20000, help="0: no perplexity")
    parser.add_argument("--device", help="compare this device with cpu, and nothing with llama.cpp")
    parser.add_argument("--out", type=pathlib.Path, help="JSON file for the figures")
    options = parser.parse_args()
    prompts = json.loads((pathlib.Path(__file__).parent / "llm_prompts.json").read_text())[:options.prompts]
    words, report = vocabulary(), {}
    for kind in options.variants.split(","):
        entry = report[kind] = {}
        if options.device:
            entry["devices"] = between_devices(options.naru, kind, options.device, prompts, options.tokens)
            continue
        if prompts:
            entry["greedy"] = greedy(options.naru, words, kind, prompts, options.tokens)
        if options.perplexity_tokens:
            entry["perplexity"] = perplexities(options.naru, kind, perplexity_text(options.perplexity_tokens))
        if options.out:
            options.out.write_text(json.dumps(report, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
