"""Prints the installed flyteidl's messages, enums and services as sorted facts, one a line.

usage: dump.py
"""

import importlib
import pkgutil

import flyteidl
from google.protobuf import descriptor_pb2 as pb

TYPES = {number: name[5:].lower() for name, number in pb.FieldDescriptorProto.Type.items()}
facts = set()


def message(m, name):
    facts.add(f"message {name}")
    oneofs = [o.name for o in m.oneof_decl]
    for f in m.field:
        kind = f.type_name.lstrip(".") or TYPES[f.type]
        label = "repeated" if f.label == 3 else "single"
        oneof = oneofs[f.oneof_index] if f.HasField("oneof_index") else "-"
        facts.add(f"field {name} {f.number} {f.name} {label} {kind} {oneof}")
    for n in m.nested_type:
        message(n, f"{name}.{n.name}")
    for e in m.enum_type:
        enum(e, f"{name}.{e.name}")


def enum(e, name):
    for v in e.value:
        facts.add(f"enum {name} {v.number} {v.name}")


for info in pkgutil.walk_packages(flyteidl.__path__, "flyteidl."):
    if not info.name.endswith("_pb2"):
        continue
    file = pb.FileDescriptorProto()
    importlib.import_module(info.name).DESCRIPTOR.CopyToProto(file)
    for m in file.message_type:
        message(m, f"{file.package}.{m.name}")
    for e in file.enum_type:
        enum(e, f"{file.package}.{e.name}")
    for s in file.service:
        for r in s.method:
            arrow = ("stream " if r.client_streaming else "") + "->"
            arrow += " stream" if r.server_streaming else ""
            ends = f"{r.input_type.lstrip('.')} {arrow} {r.output_type.lstrip('.')}"
            facts.add(f"call {file.package}.{s.name}.{r.name} {ends}")
print("\n".join(sorted(facts)))
