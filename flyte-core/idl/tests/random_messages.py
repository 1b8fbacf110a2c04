"""Random messages of every type of flyteidl.

usage: random_messages.py make           prints `type hex` for each message
       random_messages.py compare FILE   reads pairs of lines from FILE: `type hex` as it was made,
                                         `type hex` as it came back; exit 1 if two differ
       random_messages.py recode FILE    decodes each `type hex` and prints it encoded again, without
                                         what flyteidl does not know
       random_messages.py hash FILE      prints the hash of each `type hex`, over the JSON that
                                         protobuf itself makes of it
"""

import hashlib
import importlib
import math
import pkgutil
import random
import sys

import flyteidl
from google.protobuf import json_format, message_factory, struct_pb2
from google.protobuf.descriptor import FieldDescriptor as F

EACH = 4
WORDS = ["", "a", "ü☃", "x" * 300, "n0", "{{.input}}", "\n\t\"'\\"]


def descriptors():
    found = {}
    for module in pkgutil.walk_packages(flyteidl.__path__, "flyteidl."):
        if module.name.endswith("_pb2"):
            file = importlib.import_module(module.name).DESCRIPTOR
            todo = list(file.message_types_by_name.values())
            while todo:
                d = todo.pop()
                if not d.GetOptions().map_entry:
                    found[d.full_name] = d
                todo.extend(d.nested_types)
    return found


def scalar(r, field):
    t = field.type
    if t in (F.TYPE_STRING,):
        return r.choice(WORDS)
    if t == F.TYPE_BYTES:
        return bytes(r.randrange(256) for _ in range(r.randrange(20)))
    if t == F.TYPE_BOOL:
        return r.random() < 0.5
    if t in (F.TYPE_DOUBLE,):
        return r.choice([0.0, -0.0, 1.5, -1e308, 5e-324, float("inf")])
    if t == F.TYPE_FLOAT:
        return r.choice([0.0, 0.5, -2.25, 1e30])
    if t == F.TYPE_ENUM:
        # A number that this version does not know survives, too.
        return r.choice([v.number for v in field.enum_type.values] + [987])
    bits = 64 if "64" in str(field.cpp_type) or t in (F.TYPE_INT64, F.TYPE_UINT64, F.TYPE_SINT64, F.TYPE_FIXED64, F.TYPE_SFIXED64) else 32
    if t in (F.TYPE_UINT32, F.TYPE_UINT64, F.TYPE_FIXED32, F.TYPE_FIXED64):
        return r.choice([0, 1, 2**bits - 1, r.randrange(2**bits)])
    return r.choice([0, -1, 2 ** (bits - 1) - 1, -(2 ** (bits - 1)), r.randrange(1000)])


def fill(r, message, depth):
    for field in message.DESCRIPTOR.fields:
        oneof = field.containing_oneof
        if oneof is not None and len(oneof.fields) > 1 and r.choice(oneof.fields) is not field:
            continue
        if r.random() < (0.15 if depth < 3 else 0.7):
            continue
        repeated = field.is_repeated if hasattr(field, "is_repeated") else field.label == F.LABEL_REPEATED
        if field.message_type is None:
            if repeated:
                getattr(message, field.name).extend(scalar(r, field) for _ in range(r.randrange(3)))
            else:
                setattr(message, field.name, scalar(r, field))
        elif depth >= 5:
            continue
        elif field.message_type.GetOptions().map_entry:
            value = field.message_type.fields_by_name["value"]
            key = field.message_type.fields_by_name["key"]
            entries = getattr(message, field.name)
            for _ in range(r.randrange(3)):
                if value.message_type is None:
                    entries[scalar(r, key)] = scalar(r, value)
                else:
                    fill(r, entries[scalar(r, key)], depth + 1)
        elif repeated:
            for _ in range(r.randrange(3)):
                fill(r, getattr(message, field.name).add(), depth + 1)
        else:
            inner = getattr(message, field.name)
            inner.SetInParent()
            fill(r, inner, depth + 1)


def without_infinity(message):
    """Makes texts of the numbers in a Struct that protobuf's own JSON refuses."""
    if isinstance(message, struct_pb2.Value) and message.WhichOneof("kind") == "number_value":
        if not math.isfinite(message.number_value):
            message.string_value = "Infinity" if message.number_value > 0 else "-Infinity"
        return
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
            if field.message_type.fields_by_name["value"].message_type is not None:
                for v in value.values():
                    without_infinity(v)
        elif hasattr(value, "ListFields"):
            without_infinity(value)
        else:
            for v in value:
                without_infinity(v)


def digits(x):
    if x == 0:
        return "+0:"
    fraction, exponent = math.frexp(abs(x))
    sign = "-" if x < 0 else "+"
    if fraction == 0.5:
        return f"{sign}{exponent - 1}:1"
    return f"{sign}{exponent}:0" + format(int(fraction * 2**53), "b").rstrip("0")


def value_hash(v):
    if v is None:
        tag, body = b"n", b""
    elif isinstance(v, bool):
        tag, body = b"b", b"1" if v else b"0"
    elif isinstance(v, (int, float)):
        tag, body = b"f", digits(float(v)).encode()
    elif isinstance(v, str):
        tag, body = b"u", v.encode()
    elif isinstance(v, list):
        tag, body = b"l", b"".join(map(value_hash, v))
    else:
        pairs = sorted((value_hash(k), value_hash(x)) for k, x in v.items())
        tag, body = b"d", b"".join(k + x for k, x in pairs)
    return hashlib.sha256(tag + body).digest()


def main():
    found = descriptors()
    if sys.argv[1] == "make":
        for name, descriptor in sorted(found.items()):
            for i in range(EACH):
                message = message_factory.GetMessageClass(descriptor)()
                fill(random.Random(f"{name}/{i}"), message, 0)
                print(name, message.SerializeToString().hex() or "-")
        return 0
    if sys.argv[1] == "recode":
        with open(sys.argv[2]) as f:
            for name, text in map(str.split, f):
                message = message_factory.GetMessageClass(found[name]).FromString(bytes.fromhex(text.replace("-", "")))
                message.DiscardUnknownFields()
                print(name, message.SerializeToString().hex() or "-")
        return 0
    if sys.argv[1] == "hash":
        with open(sys.argv[2]) as f:
            for name, text in map(str.split, f):
                message = message_factory.GetMessageClass(found[name]).FromString(bytes.fromhex(text.replace("-", "")))
                without_infinity(message)
                print(value_hash(json_format.MessageToDict(message)).hex())
        return 0
    compared, wrong = 0, 0
    with open(sys.argv[2]) as f:
        lines = [line.split() for line in f]
    for (name, made), (again, back) in zip(lines[::2], lines[1::2], strict=True):
        assert name == again
        cls = message_factory.GetMessageClass(found[name])
        one, two = (cls.FromString(bytes.fromhex(t.replace("-", ""))) for t in (made, back))
        compared += 1
        if one != two:
            wrong += 1
            print(f"{name}: made {one} came back {two}")
    print(f"{compared} messages compared, {wrong} differ")
    return 1 if wrong or compared == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
