# A task writes a file and fails; with --keep-attempts its working directory stays and is named.
# Command: flyte-rs run --json --python PYTHON --keep-attempts fails.py fails
# Right: FAILED, and error.kept names a directory with partial.csv.

import os

from flytekit import task, workflow


@task
def works() -> int:
    with open("whole.csv", "w") as f:
        f.write("1\n")
    return 1


@task
def breaks(n: int):
    with open("partial.csv", "w") as f:
        f.write("1,2\n")
    os.symlink(os.environ["HERE"], "code")
    raise ValueError("broken")


@workflow
def fails():
    breaks(n=works())
