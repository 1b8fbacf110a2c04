"""Lists, nested and empty, and one item of them.

Covers: Types | list (collection); Types | index access on list promise.
Inputs: {"numbers": [3, 1, 2]}
"""

from flytekit import task, workflow


@task
def table(numbers: list[int]) -> tuple[list[list[int]], list[str]]:
    return [sorted(numbers), [], [n * n for n in numbers]], []


@task
def count(rows: list[list[int]], empty: list[str], one: int) -> int:
    return sum(len(r) for r in rows) + len(empty) + 100 * one


@workflow
def wf(numbers: list[int]) -> tuple[list[list[int]], list[str], int]:
    rows, empty = table(numbers=numbers)
    return rows, empty, count(rows=rows, empty=empty, one=rows[2][0])
