# A module comes from a folder of PYTHONPATH, and variables of the run are those of its tasks.
import os

import measures
from flytekit import task, workflow

UNIT = os.environ["UNIT"]


@task
def size(side: int) -> str:
    paths = os.environ["PYTHONPATH"].split(":")[1:]
    absolute = all(os.path.isabs(p) for p in paths)
    shell = [name for name in ("OLDPWD", "SSH_TTY", "FLYTE_SECRET_A_B") if name in os.environ]
    return f"{measures.area(side)} {UNIT} {absolute} {shell}"


@workflow
def plot(side: int) -> str:
    return size(side=side)
