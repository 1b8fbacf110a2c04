"""Enums, and texts that become enums on the way.

Covers: Types | Enum; Types | enum ↔ string casts.
Inputs: {"c": "green"}
"""

from enum import Enum

from flytekit import task, workflow


class Color(Enum):
    RED = "red"
    GREEN = "green"


@task
def flip(c: Color) -> Color:
    return Color.RED if c is Color.GREEN else Color.GREEN


@task
def name(s: str) -> str:
    return f"<{s}>"


@task
def spell(c: Color) -> str:
    return c.value


@workflow
def wf(c: Color = Color.RED) -> tuple[Color, str, Color]:
    flipped = flip(c=c)
    text = spell(c=flipped)
    return flipped, name(s=flipped), flip(c=text)
