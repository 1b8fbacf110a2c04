"""A gate that sleeps between two tasks.

Covers: Gate | sleep.
Inputs: {"x": 2}
"""

from datetime import timedelta

from flytekit import sleep, task, workflow


@task
def inc(x: int) -> int:
    return x + 1


@workflow
def wf(x: int) -> int:
    first = inc(x=x)
    pause = sleep(timedelta(seconds=1))
    last = inc(x=first)
    first >> pause
    pause >> last
    return last
