# A task writes to an input that is too large for a private copy.
# Command: flyte-rs run --json --python PYTHON --input-copy-max 3 large.py large
# Right: FAILED at the writing task; its successor does not run, and the file is as it was, unless root writes it
# without a mount namespace: then the error is InputChanged.

import os
import tempfile

from flytekit import FlyteFile, task, workflow


@task
def make() -> FlyteFile:
    path = os.path.join(tempfile.mkdtemp(), "raw.txt")
    with open(path, "w") as f:
        f.write("one\n")
    return FlyteFile(path)


@task
def write(raw: FlyteFile) -> str:
    path = raw.download()
    with open(path) as f:
        text = f.read()
    with open(path, "a") as f:
        f.write("two\n")
    return text


@task
def after(text: str) -> str:
    return text


@workflow
def large() -> str:
    return after(text=write(raw=make()))
