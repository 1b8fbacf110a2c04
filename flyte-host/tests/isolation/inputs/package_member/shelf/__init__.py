# A package may define entities itself.
from flytekit import task


@task
def capacity(rows: int) -> int:
    return rows * 12
