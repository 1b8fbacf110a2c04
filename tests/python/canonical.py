"""A value as plain JSON that tells apart everything a user can tell apart.

Files, folders and data frames stand for their content, never for where they are.
"""

import dataclasses
import datetime
import enum
import hashlib
import math
import os


def canonical(value):
    """The value as lists of a kind and a body."""
    import pandas as pd
    from flytekit import StructuredDataset
    from flytekit.types.directory import FlyteDirectory
    from flytekit.types.file import FlyteFile
    from flytekit.types.schema import FlyteSchema
    from pydantic import BaseModel

    if value is None:
        return ["none"]
    if isinstance(value, enum.Enum):
        return ["enum", type(value).__name__, value.value]
    if isinstance(value, bool):
        return ["bool", value]
    if isinstance(value, int):
        return ["int", str(value)]
    if isinstance(value, float):
        return ["float", "nan" if math.isnan(value) else value.hex()]
    if isinstance(value, FlyteFile):
        return ["file", digest_of_file(value.download())]
    if isinstance(value, FlyteDirectory):
        return ["folder", digests_of_folder(value.download())]
    if isinstance(value, FlyteSchema):
        return canonical(value.open().all())
    if isinstance(value, StructuredDataset):
        return canonical(value.open(pd.DataFrame).all())
    if isinstance(value, pd.DataFrame):
        columns = [[str(c), str(value[c].dtype)] for c in value.columns]
        rows = [[canonical(cell) for cell in row] for row in value.astype(object).to_numpy().tolist()]
        return ["frame", columns, rows]
    if isinstance(value, str):
        return ["str", value]
    if isinstance(value, bytes):
        return ["bytes", value.hex()]
    if isinstance(value, datetime.datetime):
        if value.tzinfo is None:
            value = value.replace(tzinfo=datetime.timezone.utc)
        return ["datetime", value.astimezone(datetime.timezone.utc).isoformat()]
    if isinstance(value, datetime.timedelta):
        return ["timedelta", str(value // datetime.timedelta(microseconds=1))]
    if isinstance(value, BaseModel):
        return record(value, {n: getattr(value, n) for n in type(value).model_fields})
    if dataclasses.is_dataclass(value):
        return record(value, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    if isinstance(value, dict):
        # The order of a dict does not travel.
        return ["dict", sorted([[canonical(k), canonical(v)] for k, v in value.items()], key=repr)]
    if isinstance(value, (list, tuple)):
        return ["list", [canonical(v) for v in value]]
    if type(value).__module__.startswith(("numpy", "pandas")):
        return canonical(value.item() if hasattr(value, "item") else value.to_pydatetime())
    return record(value, vars(value))


def record(value, fields):
    return ["object", type(value).__name__, {k: canonical(v) for k, v in sorted(fields.items())}]


def digest_of_file(path):
    with open(path, "rb") as f:
        return hashlib.sha256(f.read()).hexdigest()


def digests_of_folder(root):
    found = {}
    for folder, _, files in os.walk(root):
        for name in files:
            path = os.path.join(folder, name)
            found[os.path.relpath(path, root)] = digest_of_file(path)
    return dict(sorted(found.items()))


def differences(want, have, place="outputs"):
    """Every place where two canonical values differ."""
    if type(want) is not type(have):
        return [f"{place}: wanted {short(want)}, got {short(have)}"]
    if isinstance(want, dict):
        out = []
        for key in sorted({*want, *have}):
            if key not in have:
                out.append(f"{place}.{key}: missing")
            elif key not in want:
                out.append(f"{place}.{key}: not wanted")
            else:
                out.extend(differences(want[key], have[key], f"{place}.{key}"))
        return out
    if isinstance(want, list):
        if len(want) != len(have):
            return [f"{place}: wanted {short(want)}, got {short(have)}"]
        return [
            d for i, (w, h) in enumerate(zip(want, have)) for d in differences(w, h, f"{place}[{i}]")
        ]
    return [] if want == have else [f"{place}: wanted {short(want)}, got {short(have)}"]


def short(value):
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
