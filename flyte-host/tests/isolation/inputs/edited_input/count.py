# Cached tasks are given files of this machine, which are edited between runs.

import os
from dataclasses import dataclass
from typing import Dict, List, Optional

from flytekit import task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile


@task(cache=True, cache_version="1")
def words(text: FlyteFile) -> int:
    with open(text) as f:
        return len(f.read().split())


@workflow
def count(text: FlyteFile) -> int:
    return words(text=text)


@task(cache=True, cache_version="1")
def names(folder: FlyteDirectory) -> List[str]:
    found = [os.path.join(path, f) for path, _, files in os.walk(folder) for f in files]
    inner = [os.path.relpath(f, folder.path) for f in found]
    return sorted([*inner, os.path.basename(folder.path)])


@workflow
def list_dir(folder: FlyteDirectory) -> List[str]:
    return names(folder=folder)


@dataclass
class Book:
    title: str
    text: FlyteFile


@task(cache=True, cache_version="1")
def shelf(
    books: List[Book], more: Dict[str, FlyteFile], last: Optional[FlyteFile] = None
) -> List[str]:
    files = [b.text for b in books] + list(more.values()) + ([last] if last else [])
    out = []
    for file in files:
        with open(file) as f:
            out.append(os.path.basename(f.name) + "=" + f.read())
    return out


@workflow
def library(
    books: List[Book], more: Dict[str, FlyteFile], last: Optional[FlyteFile] = None
) -> List[str]:
    return shelf(books=books, more=more, last=last)
