"""Values of several types in one place.

Covers: Types | Union / Optional.
"""

from typing import Optional, Union

from flytekit import task, workflow


@task
def choose(n: int) -> Union[int, str, list[float]]:
    return n if n > 10 else ("small" if n > 0 else [n / 2, 0.0])


@task
def kind(v: Union[int, str, list[float]]) -> str:
    return f"{type(v).__name__} {v}"


@task
def either(a: Optional[int], b: Optional[dict[str, int]] = None) -> Optional[int]:
    return a if b is None else sum(b.values())


@workflow
def wf(n: int = -3) -> tuple[Union[int, str, list[float]], str, Optional[int]]:
    v = choose(n=n)
    return v, kind(v=v), either(a=n, b={"x": 2})
