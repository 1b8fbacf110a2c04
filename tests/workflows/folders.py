"""Folders with folders in them.

Covers: Types | Blob multipart (FlyteDirectory).
"""

import os
import tempfile
from pathlib import Path

from flytekit import task, workflow
from flytekit.types.directory import FlyteDirectory


@task
def make(n: int) -> FlyteDirectory:
    root = Path(tempfile.mkdtemp())
    (root / "deep" / "er").mkdir(parents=True)
    for i in range(n):
        (root / "deep" / f"{i}.txt").write_text("x" * i)
    (root / "deep" / "er" / "ü.bin").write_bytes(bytes(range(256)))
    return FlyteDirectory(str(root))


@task
def weigh(d: FlyteDirectory) -> int:
    path = d.download()
    return sum(os.path.getsize(os.path.join(p, f)) for p, _, fs in os.walk(path) for f in fs)


@workflow
def wf(n: int = 4) -> tuple[FlyteDirectory, int]:
    d = make(n=n)
    return d, weigh(d=d)
