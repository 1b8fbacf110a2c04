"""A task that takes too long is ended; that is a failure like others and may be tried again.

Covers: Exec | task timeout; Node | timeout override.
No oracle: local execution does not time out.
Expect: {"exit": 1, "phase": "FAILED", "outputs": null, "error": "RetriesExhausted|TimeoutExpired", "phases": {"n0": "FAILED"}}
"""

import time
from datetime import timedelta

from flytekit import task, workflow


@task(timeout=timedelta(seconds=3))
def sleeps(seconds: int) -> int:
    time.sleep(seconds)
    return seconds


@workflow
def wf(seconds: int = 60) -> int:
    return sleeps(seconds=seconds)
