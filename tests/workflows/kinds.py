"""Values of many types reach their tasks through a sub-workflow.

Covers: Types | dataclass_type structure; Types | attribute access on dataclass promise; Types | index access on list promise; Types | key access on dict promise; Types | Enum; Types | Union / Optional; Types | datetime and timedelta literals; Workflow | sub-workflows.
Inputs: {"t": "2024-01-01T00:00:00+00:00", "d": "5400s", "o": 4, "c": "red"}
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Optional

from flytekit import task, workflow


class Color(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass
class Point:
    x: int
    w: float


@task
def point(x: int) -> Point:
    return Point(x=x, w=x / 2)


@task
def many(n: int) -> tuple[list[int], dict[str, float]]:
    return list(range(n)), {"half": n / 2, "ü": 1.0}


@task
def mix(a: int, b: float, i: int, d: float, c: Color, o: Optional[int]) -> str:
    return f"{a} {b} {i} {d} {c.value} {o}"


@task
def later(t: datetime, d: timedelta) -> datetime:
    return t + d


@workflow
def inner(x: int, c: Color, o: Optional[int]) -> str:
    p = point(x=x)
    numbers, table = many(n=x)
    return mix(a=p.x, b=p.w, i=numbers[2], d=table["half"], c=c, o=o)


@workflow
def wf(
    t: datetime, d: timedelta, x: int = 5, c: Color = Color.BLUE, o: Optional[int] = None
) -> tuple[str, datetime]:
    return inner(x=x, c=c, o=o), later(t=t, d=d)
