"""A failure node runs after a failure, gets the error, and rescues nothing.

Covers: Exec | failure node with err; Compile | failure node; Types | FlyteError type.
No oracle: local execution raises the exception of the task.
Expect: {"exit": 1, "phase": "FAILED", "error": "USER:RuntimeError", "message": "it broke", "phases": {"n0": "FAILED", "fn0": "SUCCEEDED"}}
"""

from typing import Optional

from flytekit import task, workflow
from flytekit.types.error.error import FlyteError


@task
def breaks(x: int) -> int:
    if x > 0:
        raise ValueError("it broke")
    return x


@task
def clean(x: int, err: Optional[FlyteError] = None):
    assert err is not None and "it broke" in err.message, err
    print("cleaned", x)


@workflow(on_failure=clean)
def wf(x: int = 1) -> int:
    return breaks(x=x)
