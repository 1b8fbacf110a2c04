"""Dataclasses, and a task that takes and gives them.

usage: dataclass.py types OUT      writes the type of each value, and the task
       dataclass.py turn IN OUT    reads values, changes them and writes them again
"""

import sys
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from flytekit import task
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.core.context_manager import FlyteContextManager
from flytekit.core.type_engine import TypeEngine
from flytekit.models.literals import Literal
from flytekit.tools.translator import get_serializable
from flyteidl.core import literals_pb2


class Color(Enum):
    RED = "red"
    DARK_BLUE = "dark blue"


@dataclass
class Part:
    n: int
    label: str


@dataclass
class Model:
    w: float
    ok: bool
    color: Color
    part: Part
    parts: List[Part]
    by: Dict[str, List[Part]]
    maybe: Optional[Part]
    nothing: Optional[int]
    at: datetime
    lasts: timedelta
    n: int = 3


TYPES = {
    "model": Model,
    "models": List[Model],
    "by": Dict[str, Model],
    "deep": Dict[str, List[Model]],
    "maybe": Optional[Model],
    "none": Optional[Model],
    "color": Color,
}


def turned(m: Model) -> Model:
    assert isinstance(m, Model) and isinstance(m.color, Color), m
    assert isinstance(m.part, Part) and all(isinstance(p, Part) for p in m.parts), m
    assert isinstance(m.at, datetime) and isinstance(m.lasts, timedelta), m
    m.n += 1
    m.w *= 2
    m.part.n += 1
    m.parts.append(Part(n=len(m.parts), label="added"))
    m.color = Color.DARK_BLUE if m.color == Color.RED else Color.RED
    m.at += timedelta(days=1)
    return m


@task
def turn(model: Model, models: List[Model], by: Dict[str, Model]) -> Tuple[Model, List[Model], Dict[str, Model]]:
    return turned(model), [turned(m) for m in models], {k: turned(m) for k, m in by.items()}


def turned_value(name, value):
    if name == "model":
        return turned(value)
    if name == "models":
        return [turned(m) for m in value]
    if name == "by":
        return {k: turned(m) for k, m in value.items()}
    if name == "deep":
        return {k: [turned(m) for m in v] for k, v in value.items()}
    if name == "maybe":
        return turned(value)
    if name == "none":
        assert value is None
        return None
    assert value == Color.RED, value
    return Color.DARK_BLUE


def main():
    out = Path(sys.argv[-1])
    if sys.argv[1] == "types":
        for name, t in TYPES.items():
            data = TypeEngine.to_literal_type(t).to_flyte_idl().SerializeToString()
            (out / name).write_bytes(data)
        image = Image(name="default", fqn="none", tag="none")
        settings = SerializationSettings(image_config=ImageConfig(default_image=image, images=[image]))
        spec = get_serializable(OrderedDict(), settings, turn)
        (out / "task").write_bytes(spec.template.to_flyte_idl().SerializeToString())
        return
    ctx = FlyteContextManager.current_context()
    for name, t in TYPES.items():
        message = literals_pb2.Literal.FromString((Path(sys.argv[2]) / name).read_bytes())
        value = TypeEngine.to_python_value(ctx, Literal.from_flyte_idl(message), t)
        value = turned_value(name, value)
        literal = TypeEngine.to_literal(ctx, value, t, TypeEngine.to_literal_type(t))
        (out / name).write_bytes(literal.to_flyte_idl().SerializeToString())


if __name__ == "__main__":
    main()
