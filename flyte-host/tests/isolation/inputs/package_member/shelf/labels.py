# A file of a package that imports nothing of it: its tasks find the package all the same.
from flytekit import task, workflow


@task
def label(n: int) -> str:
    return f"shelf {n}"


@workflow
def labels(n: int) -> str:
    return label(n=n)
