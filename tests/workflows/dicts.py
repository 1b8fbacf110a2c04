"""Maps with text keys, nested and empty, and one entry of them.

Covers: Types | dict[str, T] (map); Types | key access on dict promise.
Inputs: {"words": {"one": 1, "zwei": 2, "": 0}}
"""

from flytekit import task, workflow


@task
def turn(words: dict[str, int]) -> tuple[dict[str, dict[str, int]], dict[str, list[float]]]:
    return {k: {"plus": v + 1} for k, v in words.items()}, {"a": [1.0, 0.5], "none": []}


@task
def pick(n: int, xs: list[float]) -> float:
    return n + sum(xs)


@workflow
def wf(
    words: dict[str, int],
) -> tuple[dict[str, dict[str, int]], dict[str, list[float]], float]:
    a, b = turn(words=words)
    return a, b, pick(n=a["zwei"]["plus"], xs=b["a"])
