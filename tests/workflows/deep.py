"""Workflows inside workflows inside workflows.

Covers: Workflow | sub-workflows; Compile | sub-workflow closure.
"""

from flytekit import task, workflow


@task
def inc(n: int) -> int:
    return n + 1


@workflow
def third(n: int) -> tuple[int, int]:
    return inc(n=n), n


@workflow
def second(n: int) -> int:
    a, b = third(n=n)
    return inc(n=b)


@workflow
def first(n: int) -> tuple[int, int]:
    x = second(n=n)
    y, _ = third(n=x)
    return x, y


@workflow
def wf(n: int = 1) -> tuple[int, int]:
    return first(n=n)
