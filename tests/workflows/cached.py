"""Cached tasks: one ignores an input, one is computed by one at a time.

Covers: Cache | cache version; Cache | ignored inputs; Cache | serialised cache; Cache | cache hit, miss, populated statuses.
"""

from flytekit import Cache, task, workflow


@task(cache=Cache(version="c-1", ignored_inputs=("comment",)))
def area(a: int, b: int, comment: str) -> int:
    return a * b


@task(cache=Cache(version="c-1", serialize=True))
def grow(n: int) -> int:
    return n + 1


@workflow
def wf(comment: str = "first") -> tuple[int, int, int]:
    first = area(a=3, b=4, comment=comment)
    # The same but for what is ignored; ordered, so that it is a hit.
    second = area(a=3, b=4, comment="other")
    first >> second
    return first, second, grow(n=first)
