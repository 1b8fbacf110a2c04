"""Nodes that wait for each other although no value passes.

Covers: Compile | explicit ordering (a >> b).
"""

import os
import tempfile
import uuid

from flytekit import task, workflow

# The tasks meet in a file that is named anew by each run.
FOLDER = tempfile.gettempdir()


@task
def fresh() -> str:
    return os.path.join(FOLDER, f"flyte-order-{uuid.uuid4()}")


@task
def note(path: str, word: str) -> None:
    with open(path, "a") as f:
        f.write(word + " ")


@workflow
def pair(path: str):
    a = note(path=path, word="second")
    b = note(path=path, word="third")
    a >> b


@task
def read(path: str) -> str:
    with open(path) as f:
        text = f.read()
    os.remove(path)
    return text


@workflow
def wf() -> str:
    path = fresh()
    first = note(path=path, word="first")
    middle = pair(path=path)
    last = read(path=path)
    first >> middle
    middle >> last
    return last
