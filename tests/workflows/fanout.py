"""Many nodes of one task at once, and one that waits for all.

Covers: Exec | concurrent nodes; Exec | max parallelism.
"""

from flytekit import task, workflow


@task
def part(i: int, n: int) -> int:
    return i * n


@task
def total(parts: list[int]) -> int:
    return sum(parts)


@workflow
def wf(n: int = 3) -> int:
    return total(parts=[part(i=i, n=n) for i in range(5)])
