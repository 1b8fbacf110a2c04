"""With the other policy, what does not depend on a failed node still runs.

Covers: Workflow | failure policy after executable nodes complete; Exec | workflow phases.
No oracle: local execution stops at the first exception, whatever the policy.
Expect: {"exit": 1, "phase": "FAILED", "error": "USER:RuntimeError", "place": "n0", "outputs": null, "phases": {"n0": "FAILED", "n1": "SUCCEEDED", "n2": "SUCCEEDED"}}
"""

from flytekit import WorkflowFailurePolicy, task, workflow


@task
def breaks(x: int) -> int:
    if x > 0:
        raise RuntimeError("at once")
    return x


@task
def works(x: int) -> int:
    return x + 1


@workflow(failure_policy=WorkflowFailurePolicy.FAIL_AFTER_EXECUTABLE_NODES_COMPLETE)
def wf(x: int = 1) -> tuple[int, int]:
    bad = breaks(x=x)
    good = works(x=works(x=x))
    return bad, good
