"""Tasks and workflows that give nothing, and a None that is a value.

Covers: Types | None / Void; Types | Union / Optional.
"""

from typing import Optional

from flytekit import task, workflow


@task
def silent(x: int) -> None:
    print("nothing comes of", x)


@task
def maybe(x: int) -> Optional[str]:
    return None if x > 0 else "something"


@task
def kind(v: Optional[str]) -> str:
    return "none" if v is None else v


@workflow
def quiet(x: int):
    silent(x=x)


@workflow
def wf(x: int = 1) -> tuple[str, Optional[str]]:
    quiet(x=x)
    v = maybe(x=x)
    return kind(v=v), v
