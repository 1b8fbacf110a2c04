# Two tasks write a file of the same relative name. Each attempt has a working directory of its own, so
# each task reads its own row.
from flytekit import task, workflow


@task
def part(k: int) -> str:
    import time

    with open("part.csv", "w") as f:
        f.write(f"row {k}")
    time.sleep(1)
    with open("part.csv") as f:
        return f.read()


@workflow
def parts() -> tuple[str, str]:
    return part(k=1), part(k=2)
