"""An error that may go away is tried again; files reach their readers.

Covers: Exec | user retries; Exec | recoverable exceptions; Container | attempt number env; Compile | explicit ordering (a >> b); Types | Blob single (FlyteFile).
No oracle: local execution does not retry.
Expect: {"exit": 0, "phase": "SUCCEEDED", "outputs": {"o0": "attempt 1"}, "attempts": {"n0": 2, "n1": 1}}
"""


import os

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException
from flytekit.types.file import FlyteFile


@task(retries=2)
def shaky() -> int:
    attempt = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    if attempt < 1:
        raise FlyteRecoverableException("not yet")
    return attempt


@task
def write(n: int) -> FlyteFile:
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), f"flyte-rs-{os.getpid()}.txt")
    with open(path, "w") as f:
        f.write(f"attempt {n}")
    return FlyteFile(path)


@task
def read(f: FlyteFile) -> str:
    with open(f) as handle:
        return handle.read()


@task
def note() -> None:
    print("after the file was written")


@workflow
def wf() -> str:
    n = shaky()
    f = write(n=n)
    done = note()
    f >> done
    return read(f=f)
