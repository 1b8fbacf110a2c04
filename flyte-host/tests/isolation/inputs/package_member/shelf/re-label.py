# Python imports a module whose name is no identifier, and so does flytekit.
from flytekit import task, workflow


@task
def label(n: int) -> str:
    return f"shelf {n}"


@workflow
def labels(n: int) -> str:
    return label(n=n)
