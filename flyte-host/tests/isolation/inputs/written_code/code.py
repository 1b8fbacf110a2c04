# A task writes to a module of its own code; the next task and the next run have it unchanged.
# Command: flyte-rs run --json --python PYTHON code.py code
# Right: SUCCEEDED, {"o0": "changed", "o1": "as written"}.

import os
from pathlib import Path

import settings
from flytekit import task, workflow


@task
def change() -> str:
    path = Path(settings.__file__)
    assert path.parent == Path.cwd() == Path(os.environ["PYTHONPATH"].split(":")[0])
    path.write_text('VALUE = "changed"\n')
    return path.read_text().split('"')[1]


@task
def read(before: str) -> str:
    return settings.VALUE


@workflow
def code() -> tuple[str, str]:
    changed = change()
    return changed, read(before=changed)
