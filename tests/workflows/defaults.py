"""Inputs that need not be given.

Covers: Admin | fixed and default inputs; Workflow | sub-workflows.
Inputs: {"b": "given"}
"""

from flytekit import task, workflow


@task
def join(a: str, b: str = "task default", c: float = 0.5) -> str:
    return f"{a}/{b}/{c}"


@workflow
def inner(a: str = "inner default", c: float = 2.5) -> str:
    return join(a=a, c=c)


@workflow
def wf(a: str = "outer default", b: str = "unused", items: list[int] = [1, 2]) -> tuple[str, str, str, list[int]]:
    return inner(), inner(a=a), join(a=a, b=b), items
