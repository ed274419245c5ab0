"""A system under test over a pipe, well or badly behaved by its first argument; the protocol is in benchmarks/README.md."""
import json
import os
import sys
import time

MODES = {"good": None, "chunks": "MULTI_TOKEN_CHUNKS", "unloaded": "OOM", "fails": "OOM", "dies": "EARLY_CLOSE", "garbage": "BAD_STREAM",
         "wrong_tokens": "BAD_STREAM", "stalls": "TIMEOUT", "mute": "TIMEOUT", "claims": "USAGE_MISMATCH", "absent": "CONNECTION"}


def say(**answer):
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def answer(mode, request):
    name, asked = request["id"], request["max_tokens"]
    if mode == "dies":
        say(id=name, tokens=[1])
        os._exit(3)
    if mode == "garbage":
        print("Traceback (most recent call last):", flush=True)
    if mode == "stalls":
        return time.sleep(1)
    if mode == "fails":
        return say(id=name, failed="OOM", detail="needs 2 B, has 1 B")
    if mode == "chunks":
        for _ in range(asked // 2):
            say(id=name, chunk=2)
    else:
        for k in range(asked):
            say(id=name, tokens=["one"] if mode == "wrong_tokens" else [k])
    if mode == "claims":
        say(id=name, claimed=asked + 5)
    return say(id=name, complete=True)


def main():
    mode = sys.argv[1]
    for line in sys.stdin:
        message = json.loads(line)
        if "load" in message and mode == "unloaded":
            say(failed="OOM", detail="needs 2 B, has 1 B")
        elif "load" in message and mode != "mute":
            say(loaded={"name": "test", "version": "1", "vocabulary": 5000})
        elif "submit" in message:
            answer(mode, message["submit"])


if __name__ == "__main__":
    main()
