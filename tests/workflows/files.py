"""Files: made by a task, read by another, with a format, in a list.

Covers: Types | Blob single (FlyteFile); Types | Blob format matching; Storage | S3, GCS, Azure, local, in-memory stores.
"""

import os
import tempfile

from flytekit import task, workflow
from flytekit.types.file import FlyteFile


def write(text: str, name: str) -> str:
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "w") as f:
        f.write(text)
    return path


@task
def csv(rows: int) -> FlyteFile["csv"]:
    return FlyteFile(write("a,b\n" + "1,2\n" * rows, "t.csv"))


@task
def many(n: int) -> list[FlyteFile]:
    return [FlyteFile(write(f"file {i}", f"{i}.txt")) for i in range(n)]


@task
def lines(f: FlyteFile["csv"], more: list[FlyteFile]) -> int:
    total = 0
    for each in [f, *more]:
        with open(each) as handle:
            total += len(handle.read().splitlines())
    return total


@workflow
def wf(rows: int = 3) -> tuple[FlyteFile["csv"], list[FlyteFile], int]:
    f = csv(rows=rows)
    more = many(n=2)
    return f, more, lines(f=f, more=more)
