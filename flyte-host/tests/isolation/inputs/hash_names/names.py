# A cached task gives a file, or a folder, whose name has signs that paths and urls treat specially.

import os
import tempfile

from flytekit import task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile


@task(cache=True, cache_version="1")
def write(name: str) -> FlyteFile:
    path = os.path.join(tempfile.mkdtemp(), name)
    with open(path, "w") as f:
        f.write(name)
    return FlyteFile(path)


@task
def read(f: FlyteFile) -> str:
    with open(f) as g:
        return os.path.basename(g.name) + "=" + g.read()


@workflow
def one(name: str) -> str:
    return read(f=write(name=name))


@task(cache=True, cache_version="1")
def write_all(names: list[str]) -> FlyteDirectory:
    folder = tempfile.mkdtemp()
    for name in names:
        os.makedirs(os.path.join(folder, "in " + name, "empty"))
        for path in (name, os.path.join("in " + name, name)):
            with open(os.path.join(folder, path), "w") as f:
                f.write(path)
    return FlyteDirectory(folder)


@task
def list_all(folder: FlyteDirectory) -> list[str]:
    top = folder.path
    out = []
    for path, folders, files in os.walk(top):
        out += [os.path.relpath(os.path.join(path, f), top) + "/" for f in folders]
        for name in files:
            with open(os.path.join(path, name)) as f:
                assert f.read() == os.path.relpath(f.name, top)
            out.append(os.path.relpath(os.path.join(path, name), top))
    return sorted(out)


@workflow
def many(names: list[str]) -> list[str]:
    return list_all(folder=write_all(names=names))
