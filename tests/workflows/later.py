"""What is refused by name before anything runs: Branch | if/elif/else."""

from flytekit import conditional, task, workflow


@task
def one() -> int:
    return 1


@workflow
def wf(x: int = 1) -> int:
    return conditional("c").if_(x > 0).then(one()).else_().then(one())
