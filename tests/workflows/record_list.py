"""A list of dataclasses, and an attribute of one of them.

Covers: Types | attribute access on dataclass promise; Types | index access on list promise; Types | list (collection).
"""

from dataclasses import dataclass

from flytekit import task, workflow


@dataclass
class Point:
    x: int
    y: float


@task
def line(n: int) -> list[Point]:
    return [Point(i, i / 4) for i in range(n)]


@task
def norm(p: Point, x: int, y: float) -> float:
    return p.x + p.y + 10 * x + 100 * y


@workflow
def wf(n: int = 4) -> tuple[list[Point], float]:
    points = line(n=n)
    return points, norm(p=points[3], x=points[2].x, y=points[1].y)
