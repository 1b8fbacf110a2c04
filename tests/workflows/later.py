"""What is refused by name before anything runs.

Covers: Branch | if/elif/else.
No oracle: local execution takes the branch, which the engine does not run yet.
Expect: {"exit": 2, "phase": null, "outputs": null, "error": "Unsupported", "message": "branch"}
"""

from flytekit import conditional, task, workflow


@task
def one() -> int:
    return 1


@workflow
def wf(x: int = 1) -> int:
    return conditional("c").if_(x > 0).then(one()).else_().then(one())
