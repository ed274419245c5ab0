#!/usr/bin/env python3
"""Measures guessing by look-up: tokens per second of naru generate with and without, interleaved in one run.

  speculative.py [MODEL] [--naru PROGRAM] [--rounds N] [--draft MODEL]

Two prompts: a summary of a text, and an edit of a program; both answers repeat much of what they were given. The texts
of both ways are compared. Reported is the median of the ratios of the rounds with its spread.
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / ".deps" / "models" / "smollm2-135m-instruct-q4_1.gguf"

ARTICLE = """The harbour of the old town was built in three parts. The first part, the inner basin, was dug by hand in the
years after the great storm and holds only small fishing boats. The second part, the long quay, was added when the
railway came, so that goods could be moved from ships to wagons without a road between them. The third part, the outer
mole, is the youngest: it was finished two years ago and keeps the waves of the winter storms away from the basin. The
town now plans to close the long quay to wagons and to open it to walkers, because the railway has moved its freight to
the new terminal in the north."""

PROGRAM = '''def read_orders(path):
    orders = []
    with open(path) as file:
        for line in file:
            name, amount, price = line.strip().split(",")
            orders.append({"name": name, "amount": int(amount), "price": float(price)})
    return orders


def total_price(orders):
    total = 0
    for order in orders:
        total += order["amount"] * order["price"]
    return total


def print_orders(orders):
    for order in orders:
        print(order["name"], order["amount"], order["price"])
    print("total", total_price(orders))
'''

PROMPTS = {
    "summarise": f"Repeat the most important sentences of this text word for word.\n\n{ARTICLE}",
    "edit code": f"Rename the function total_price to sum_of_orders in this program and write the whole program again.\n\n"
                 f"```python\n{PROGRAM}```",
}


def generate(options, prompt, extra):
    with tempfile.NamedTemporaryFile("w", suffix=".json") as messages:
        json.dump([{"role": "user", "content": prompt}], messages)
        messages.flush()
        command = [str(options.naru), "generate", str(options.model), "--messages", messages.name, "--max-tokens", "192",
                   "--json", "--threads", str(options.threads), *extra]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"speculative: naru failed:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("model", nargs="?", type=pathlib.Path, default=MODEL)
    parser.add_argument("--naru", type=pathlib.Path, default=ROOT / "build" / "release" / "bin" / "naru")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--draft", type=pathlib.Path, help="guess by this model instead of look-up")
    parser.add_argument("--draft-tokens", type=int, default=8)
    options = parser.parse_args()
    guessing = ["--speculative", "draft", "--draft", str(options.draft)] if options.draft else ["--speculative", "lookup"]
    guessing += ["--draft-tokens", str(options.draft_tokens)]
    for name, prompt in PROMPTS.items():
        ratios, rates, same = [], [], True
        for _ in range(options.rounds):
            plain, guessed = generate(options, prompt, []), generate(options, prompt, guessing)
            rates.append(plain["metrics"]["decode_tokens_per_s"])
            ratios.append(guessed["metrics"]["decode_tokens_per_s"] / rates[-1])
            same = same and plain["text"] == guessed["text"]
        figures = guessed["metrics"]
        print(f"{name:10} {figures['generated_tokens']} tokens, {figures['accepted_tokens']} of {figures['drafted_tokens']}"
              f" guesses right: {statistics.median(ratios):.2f}x [{min(ratios):.2f}, {max(ratios):.2f}] of"
              f" {statistics.median(rates):.1f} tokens/s; texts {'equal' if same else 'differ'}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
