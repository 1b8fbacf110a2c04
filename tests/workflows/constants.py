"""Constants and promises side by side in one list and one map.

Covers: Compile | compile workflow template; Types | list (collection); Types | dict[str, T] (map).
"""

from flytekit import task, workflow


@task
def one() -> int:
    return 1


@task
def show(ns: list[int], table: dict[str, list[int]], word: str, none: list[str]) -> str:
    return f"{ns} {sorted(table.items())} {word} {none}"


@workflow
def wf(n: int = 5) -> str:
    a = one()
    return show(ns=[a, 2, n], table={"k": [n, a], "c": [7]}, word="constant", none=[])
