"""What is refused by name before anything runs.

Covers: Map | map_task over a list.
No oracle: local execution maps, which the engine does not do for this entrypoint yet.
Expect: {"exit": 2, "phase": null, "outputs": null, "error": "Unsupported", "message": "map task"}
"""

from flytekit import map_task, task, workflow


@task
def double(x: int) -> int:
    return 2 * x


@workflow
def wf(xs: list[int] = [1, 2]) -> list[int]:
    return map_task(double)(x=xs)
