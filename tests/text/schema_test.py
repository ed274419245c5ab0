#!/usr/bin/env python3
"""Samples documents at random under the mask of many JSON schemas, and has jsonschema judge them."""

import argparse
import json
import pathlib
import subprocess
import sys

import jsonschema

PERSON = {"type": "object", "properties": {"이름": {"type": "string", "maxLength": 8}, "age": {"type": "integer", "minimum": 0, "maximum": 150},
                                         "email": {"type": "string", "pattern": r"^[a-z]{1,8}@[a-z]{1,8}\.(com|kr)$"}}, "required": ["이름", "age"]}
ACCEPTED = [
    {"type": "string"}, {"type": "integer"}, {"type": "number"}, {"type": "boolean"}, {"type": "null"}, {"type": ["string", "null", "integer"]},
    {"type": "array"}, {"type": "object"}, True, {}, {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 4},
    {"type": "array", "items": {"type": "array", "items": {"type": "boolean"}, "maxItems": 2}, "minItems": 1, "maxItems": 3},
    {"type": "array", "maxItems": 0}, {"type": "array", "prefixItems": [{"type": "integer"}, {"type": "string"}], "items": False},
    {"type": "array", "prefixItems": [{"const": 1}], "items": {"type": "null"}, "minItems": 2, "maxItems": 3},
    {"enum": ["빨강", "파랑", 3, None, {"a": [1]}]}, {"const": "a\"\\\n가"}, {"type": "string", "enum": ["a", 1, "b"]},
    {"type": "string", "minLength": 3, "maxLength": 5}, {"type": "string", "maxLength": 0}, {"type": "string", "minLength": 2},
    {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,5}$"}, {"type": "string", "pattern": "[a-z]e"}, {"type": "string", "pattern": "^(가|나)+\\d?$"},
    {"type": "string", "pattern": "^[^a-z]*$"}, {"type": "string", "pattern": "^x|y$"}, {"type": "string", "pattern": r"^\w+\s\w+$"},
    {"type": "string", "pattern": r"^[\"\\]+$"}, {"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}, {"type": "string", "format": "uuid"},
    {"type": "string", "format": "email"}, {"type": "integer", "minimum": -17, "maximum": 105}, {"type": "integer", "minimum": 98, "maximum": 1234},
    {"type": "integer", "exclusiveMinimum": -5, "exclusiveMaximum": 5}, {"type": "integer", "maximum": -3}, {"type": "integer", "minimum": 42},
    {"type": "integer", "minimum": 7, "maximum": 7}, {"type": "number", "minimum": 0}, {"type": "number", "minimum": -1.5, "maximum": 2.5},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 3}, {"type": "number", "maximum": 0}, {"type": "number", "minimum": -20, "maximum": -3},
    {"type": "number", "minimum": 99.5, "maximum": 1000}, PERSON, {"type": "array", "items": PERSON, "minItems": 1, "maxItems": 2},
    {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}, "c": {"type": "integer"}}},
    {"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a", "other"]}, {"type": "object", "properties": {}, "additionalProperties": False},
    {"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "object", "additionalProperties": False},
    {"anyOf": [{"type": "integer"}, {"type": "object", "properties": {"x": {"type": "number"}}, "required": ["x"]}]}, {"allOf": [{"type": "boolean"}]},
    {"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/tree"}}},
                                             "required": ["value", "children"]}}},
    {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]}}, "required": ["next"]},
    {"properties": {"untyped": {"type": "string", "maxLength": 2}}, "required": ["untyped"]}, {"type": ["integer", "string"], "minimum": 3, "maxLength": 2},
    {"type": "object", "properties": {"tool": {"enum": ["get_weather", "search"]}, "arguments": {"type": "object", "properties": {
        "city": {"type": "string", "minLength": 1, "maxLength": 20}, "days": {"type": "integer", "minimum": 1, "maximum": 14}}, "required": ["city"]}}, "required": ["tool", "arguments"]},
]
REFUSED = [
    False, 3, "x", {"type": "nothing"}, {"type": []}, {"enum": []}, {"anyOf": []}, {"oneOf": [{"type": "string"}]}, {"not": {}}, {"$ref": "#"}, {"$ref": "#/nowhere"},
    {"$ref": "http://x/y"}, {"$ref": "#/a", "a": {"$ref": "#/b"}, "b": {"$ref": "#/a"}}, {"type": "integer", "minimum": 5, "maximum": 4},
    {"type": "number", "minimum": 0.2, "maximum": 0.7}, {"type": "array", "minItems": 3, "maxItems": 2}, {"type": "array", "minItems": 10**9}, {"type": "array", "minItems": -1},
    {"type": "string", "pattern": "(?=a)b"}, {"type": "string", "pattern": "(a"}, {"type": "string", "pattern": "(a)\\1"}, {"type": "string", "minLength": 1.5},
    {"type": "array", "uniqueItems": True}, {"type": "integer", "multipleOf": 3}, {"type": "object", "patternProperties": {}},
    {"type": "object", "properties": {"a": {}}, "required": ["b"], "additionalProperties": False}, {"type": "string", "enum": [1]}, {"const": 1, "type": "string"},
    {"type": "object", "properties": {"me": {"$ref": "#"}}, "required": ["me"]},
]


def nested(depth):
    schema = {"type": "integer"}
    for _ in range(depth):
        schema = {"type": "array", "items": schema}
    return schema


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", required=True)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True)
    parser.add_argument("--work", type=pathlib.Path, required=True)
    parser.add_argument("--count", type=int, default=12)
    args = parser.parse_args()
    refused = REFUSED + [nested(5000 if sys.getrecursionlimit() > 6000 else 200), {"enum": list(range(20000))}]
    schemas = ACCEPTED + [nested(8)] + refused
    args.work.mkdir(parents=True, exist_ok=True)
    path = args.work / "schemas.json"
    path.write_text(json.dumps(schemas, ensure_ascii=False))
    run = subprocess.run([args.program, args.tokenizer, path, str(args.count)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=500)
    if run.returncode != 0:
        sys.exit(run.stderr.decode()[-3000:])
    failures = documents = 0
    for schema, texts in zip(schemas, json.loads(run.stdout)):
        shown = json.dumps(schema, ensure_ascii=False)[:200]
        expected = any(schema is item for item in refused)
        if (texts is None) != expected:
            print(f"{'refused' if texts is None else 'accepted'}: {shown}\n{run.stderr.decode()[-1500:] if texts is None else ''}")
            failures += 1
        for text in texts or []:
            documents += 1
            try:
                jsonschema.validate(json.loads(text), schema, jsonschema.Draft202012Validator)
            except (ValueError, jsonschema.ValidationError) as error:
                print(f"{shown}\n  document {text[:300]!r}\n  {str(error)[:300]}")
                failures += 1
    print(f"{len(schemas)} schemas, {documents} documents, {failures} failures")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
