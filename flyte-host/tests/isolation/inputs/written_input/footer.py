# A task appends to the file that it was given; a task after it reads the same file.
# Command: flyte-rs run --json --python PYTHON footer.py footer
# Right: SUCCEEDED, {"o0": "one\ntwo\n", "o1": 1}: each task has a copy of its own.

import os
import tempfile

from flytekit import FlyteFile, task, workflow


@task
def write() -> FlyteFile:
    path = os.path.join(tempfile.mkdtemp(), "raw.txt")
    with open(path, "w") as f:
        f.write("one\n")
    return FlyteFile(path)


@task
def add_footer(raw: FlyteFile) -> str:
    with open(raw.download(), "a") as f:
        f.write("two\n")
    with open(raw.path) as f:
        return f.read()


@task
def count(raw: FlyteFile) -> int:
    with open(raw) as f:
        return len(f.readlines())


@workflow
def footer() -> tuple[str, int]:
    raw = write()
    footed = add_footer(raw=raw)
    n = count(raw=raw)
    footed >> n
    return footed, n
