# A task leaves files in its working directory and fails once; neither its retry nor a later task finds them.
# Command: flyte-rs run --json --python PYTHON left.py left
# Right: SUCCEEDED, {"o0": ["left.py"], "o1": ["left.py"]}: each attempt has a directory with the code alone.

import os

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


@task(retries=1)
def first() -> list[str]:
    found = sorted(os.listdir("."))
    os.mkdir("scratch")
    with open("scratch/state.txt", "w") as f:
        f.write("begun")
    with open("left.txt", "w") as f:
        f.write("left")
    if os.environ["FLYTE_ATTEMPT_NUMBER"] == "0":
        raise FlyteRecoverableException("once")
    return found


@task
def second(before: list[str]) -> list[str]:
    return sorted(os.listdir("."))


@workflow
def left() -> tuple[list[str], list[str]]:
    a = first()
    return a, second(before=a)
