"""A task that fails ends what runs beside it and what would follow.

Covers: Workflow | failure policy immediate; Container | error.pb protocol, exit 0; Exec | abort.
No oracle: local execution raises the task's own exception and has no phases.
Expect: {"exit": 1, "phase": "FAILED", "error": "USER:RuntimeError", "place": "n0", "outputs": null, "message": "ValueError: bad luck", "phases": {"n0": "FAILED", "n1": null}}
"""

from flytekit import task, workflow


@task
def breaks(x: int) -> int:
    if x > 0:
        raise ValueError("bad luck")
    return x


@task
def follows(x: int) -> int:
    return x


@workflow
def wf(x: int = 1) -> int:
    return follows(x=breaks(x=x))
