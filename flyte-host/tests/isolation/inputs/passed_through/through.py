# A task gives back what it was given: a file, a path, a folder, a dataset, and a file of its own without an upload.
# A later task reads all of them, when the first one's private copies are gone.
# Command: flyte-rs run --json --python PYTHON through.py through
# Right: SUCCEEDED, {"o0": "a a c [1, 2]", ...}; no output names a private copy.

import os
import tempfile
from typing import Tuple

import pandas as pd
from flytekit import FlyteDirectory, FlyteFile, StructuredDataset, task, workflow


def new(text: str) -> str:
    path = os.path.join(tempfile.mkdtemp(), "data.txt")
    with open(path, "w") as f:
        f.write(text)
    return path


@task
def make() -> Tuple[FlyteFile, FlyteDirectory, StructuredDataset]:
    frame = pd.DataFrame({"n": [1, 2]})
    folder = os.path.dirname(new("c"))
    return FlyteFile(new("a")), FlyteDirectory(folder), StructuredDataset(dataframe=frame)


@task
def same(
    file: FlyteFile, folder: FlyteDirectory, dataset: StructuredDataset
) -> Tuple[FlyteFile, FlyteFile, FlyteDirectory, StructuredDataset]:
    return file, FlyteFile(file.path, remote_path=False), folder, dataset


@task
def read(
    file: FlyteFile, kept: FlyteFile, folder: FlyteDirectory, dataset: StructuredDataset
) -> str:
    inner = os.path.join(folder.download(), "data.txt")
    texts = [open(path).read() for path in (file.download(), kept.download(), inner)]
    return " ".join([*texts, str(list(dataset.open(pd.DataFrame).all()["n"]))])


@workflow
def through() -> Tuple[str, FlyteFile, FlyteFile, FlyteDirectory, StructuredDataset]:
    file, folder, dataset = make()
    file, kept, folder, dataset = same(file=file, folder=folder, dataset=dataset)
    text = read(file=file, kept=kept, folder=folder, dataset=dataset)
    return text, file, kept, folder, dataset
