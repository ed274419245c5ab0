"""Reads the metadata of a GGUF file (v2, v3) into Python values; tensors are not looked at."""

import pathlib
import struct

SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
STRING, ARRAY = 8, 9


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def scalar(self, form):
        value = struct.unpack_from("<" + form, self.data, self.at)[0]
        self.at += struct.calcsize("<" + form)
        return value

    def string(self):
        size = self.scalar("Q")
        self.at += size
        return self.data[self.at - size : self.at].decode("utf-8", "replace")

    def value(self, kind):
        if kind == STRING:
            return self.string()
        if kind == ARRAY:
            inner, count = self.scalar("I"), self.scalar("Q")
            return [self.value(inner) for _ in range(count)]
        return self.scalar(SCALARS[kind])


def read(path, prefix=""):
    """The fields whose names begin with `prefix`."""
    reader = Reader(pathlib.Path(path).read_bytes())
    if reader.data[:4] != b"GGUF":
        raise ValueError(f"{path}: no GGUF file")
    reader.at = 8
    reader.scalar("Q")
    fields = {}
    for _ in range(reader.scalar("Q")):
        name = reader.string()
        fields[name] = reader.value(reader.scalar("I"))
    return {name: value for name, value in fields.items() if name.startswith(prefix)}
