"""A second attempt goes on where the first stopped.

Covers: Checkpoint | intra-task checkpoint; Container | {{.checkpointOutputPrefix}}, {{.prevCheckpointPrefix}}.
No oracle: local execution does not retry.
Expect: {"exit": 0, "phase": "SUCCEEDED", "outputs": {"o0": 10}, "attempts": {"n0": 2}}
"""

from flytekit import current_context, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task(retries=1)
def count(n: int) -> int:
    cp = current_context().checkpoint
    before = cp.read()
    start = int(before.decode()) if before else 0
    for i in range(start, n):
        if i == 5 and start == 0:
            cp.write(str(i).encode())
            raise FlyteRecoverableException("half-way")
    # Only the rest was counted in this attempt.
    return start + (n - start) if start == 5 else -1


@workflow
def wf(n: int = 10) -> int:
    return count(n=n)
