# Python cannot import a module whose name has a dot.
from flytekit import task, workflow


@task
def label(n: int) -> str:
    return f"shelf {n}"


@workflow
def labels(n: int) -> str:
    return label(n=n)
