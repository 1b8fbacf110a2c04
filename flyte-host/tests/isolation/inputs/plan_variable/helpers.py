from flytekit import task, workflow


@task
def add(n: int, by: int = 5) -> int:
    return n + by


@workflow
def weekly(n: int) -> int:
    return add(n=n, by=100)
