# A cached task gives a folder without files: one that is empty, and one of empty folders.

import os
import tempfile

from flytekit import task, workflow
from flytekit.types.directory import FlyteDirectory


@task(cache=True, cache_version="1")
def rejects(inner: list[str]) -> FlyteDirectory:
    folder = tempfile.mkdtemp()
    for name in inner:
        os.makedirs(os.path.join(folder, name))
    return FlyteDirectory(folder)


@task
def folders(folder: FlyteDirectory) -> list[str]:
    found = [os.path.join(path, d) for path, dirs, _ in os.walk(folder) for d in dirs]
    return sorted(os.path.relpath(f, folder.path) for f in found)


@workflow
def empty(inner: list[str]) -> list[str]:
    return folders(folder=rejects(inner=inner))
