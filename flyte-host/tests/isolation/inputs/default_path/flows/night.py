# The default of a launch plan that a workflow starts is a file, which flytekit copies each time that
# it imports this module.

import os
import tempfile

from flytekit import LaunchPlan, task, workflow
from flytekit.types.file import FlyteFile

more = os.path.join(tempfile.mkdtemp(), "more.txt")
with open(more, "w") as f:
    f.write("bolt\nnut\nwasher\n")


@task(cache=True, cache_version="1")
def count(parts: FlyteFile) -> int:
    with open(parts) as f:
        return len(f.readlines())


@workflow
def stock(parts: FlyteFile) -> int:
    return count(parts=parts)


nightly = LaunchPlan.get_or_create(stock, name="nightly", default_inputs={"parts": FlyteFile(more)})


@workflow
def night() -> int:
    return nightly()
