# A task changes files inside of a dataclass, a list and a folder, and fails once; its retry and a later task find
# all of them as they were written.
# Command: flyte-rs run --json --python PYTHON nested.py nested
# Right: SUCCEEDED, {"o0": "a b c", "o1": "a b c"}.

import os
import tempfile
from dataclasses import dataclass

from flytekit import FlyteDirectory, FlyteFile, task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@dataclass
class Record:
    name: str
    file: FlyteFile


def new(text: str) -> str:
    path = os.path.join(tempfile.mkdtemp(), "data.txt")
    with open(path, "w") as f:
        f.write(text)
    return path


def paths(record: Record, files: list[FlyteFile], folder: FlyteDirectory) -> list[str]:
    inner = os.path.join(folder.download(), "data.txt")
    return [record.file.download(), *(f.download() for f in files), inner]


def text(all: list[str]) -> str:
    return " ".join(open(path).read() for path in all)


@task
def make() -> tuple[Record, list[FlyteFile], FlyteDirectory]:
    folder = os.path.dirname(new("c"))
    return Record("r", FlyteFile(new("a"))), [FlyteFile(new("b"))], FlyteDirectory(folder)


@task(retries=1)
def change(record: Record, files: list[FlyteFile], folder: FlyteDirectory) -> str:
    all = paths(record, files, folder)
    before = text(all)
    for path in all:
        with open(path, "w") as f:
            f.write("changed")
    if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException("once")
    return before


@task
def read(record: Record, files: list[FlyteFile], folder: FlyteDirectory) -> str:
    return text(paths(record, files, folder))


@workflow
def nested() -> tuple[str, str]:
    record, files, folder = make()
    changed = change(record=record, files=files, folder=folder)
    after = read(record=record, files=files, folder=folder)
    changed >> after
    return changed, after
