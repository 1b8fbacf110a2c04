"""One task, set up differently at each place where it is used.

Covers: Node | retries override; Node | timeout override; Node | name override; Node | resource override; Node | interruptible override; Node | cache, version, serialize override.
"""

from datetime import timedelta

from flytekit import Resources, task, workflow


@task
def double(n: int) -> int:
    return 2 * n


@workflow
def wf(n: int = 2) -> int:
    a = double(n=n).with_overrides(retries=3, timeout=timedelta(minutes=5), node_name="the-first")
    b = double(n=a).with_overrides(
        name="the second", requests=Resources(cpu="1", mem="100Mi"), limits=Resources(cpu="2")
    )
    c = double(n=b).with_overrides(interruptible=True)
    return double(n=c).with_overrides(cache=True, cache_version="o-1", cache_serialize=True)
