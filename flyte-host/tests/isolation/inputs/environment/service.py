# The second task starts after the run was killed and resumed; it still has the variables of the run.
import os
import time

from flytekit import task, workflow


@task
def wait(folder: str) -> int:
    open(os.path.join(folder, "started"), "w").close()
    while not os.path.exists(os.path.join(folder, "go")):
        time.sleep(0.05)
    return 1


@task
def length(n: int) -> int:
    return n * len(os.environ.get("SERVICE_TOKEN", ""))


@workflow
def token(folder: str) -> int:
    return length(n=wait(folder=folder))
