"""An error that does not go away fails after its retries; others are not tried again.

Covers: Exec | user retries; Exec | recoverable exceptions.
No oracle: local execution does not retry.
Expect: {"exit": 1, "phase": "FAILED", "outputs": null, "error": "RetriesExhausted|USER:Recoverable", "attempts": {"n0": 3}}
"""

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task(retries=2)
def never(x: int) -> int:
    if x > 0:
        raise FlyteRecoverableException("not this time")
    return x


@workflow
def wf(x: int = 1) -> int:
    return never(x=x)
