# Three cached tasks, each called twice with equal inputs; the second call starts when the first is over.
# Right: each task runs once, and each second call is a cache hit: of a task, of a task inside a
# sub-workflow, and of a serialized task that is given its own first result.
from flytekit import task, workflow


def count(folder: str, name: str) -> None:
    with open(f"{folder}/{name}.runs", "a") as runs:
        runs.write("run\n")


@task(cache=True, cache_version="1")
def double(folder: str, n: int) -> int:
    count(folder, "double")
    return 2 * n


@task(cache=True, cache_version="1")
def triple(folder: str, n: int) -> int:
    count(folder, "triple")
    return 3 * n


@task(cache=True, cache_version="1", cache_serialize=True)
def halve(folder: str, n: int) -> int:
    count(folder, "halve")
    return n // 2


@workflow
def inner(folder: str, n: int) -> int:
    return triple(folder=folder, n=n)


@workflow
def calls(folder: str, n: int) -> tuple[int, int, int]:
    first = double(folder=folder, n=n)
    second = double(folder=folder, n=n)
    first >> second
    third = inner(folder=folder, n=n)
    fourth = inner(folder=folder, n=n)
    third >> fourth
    zero = halve(folder=folder, n=0)
    return second, fourth, halve(folder=folder, n=zero)
