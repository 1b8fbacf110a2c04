"""A task that is run by itself; its template has no defaults.

Covers: Exec | single-task execution.
Entity: scale
Inputs: {"xs": [1.5, 2.0], "by": 2.0, "note": ""}
"""

from flytekit import task


@task
def scale(xs: list[float], by: float, note: str = "") -> list[float]:
    return [x * by for x in xs]
