"""Workflows whose scheduler is killed. Each attempt says in a file when it begins and how it ends."""

import os
import sys
import time

from flytekit import task, workflow
from flytekit.exceptions.user import FlyteRecoverableException


def say(word: str) -> None:
    """One write to a file that is only appended to: lines of several processes do not mix."""
    prefix = sys.argv[sys.argv.index("--output-prefix") + 1]
    with open(os.environ["WITNESS"], "ab", buffering=0) as f:
        f.write(f"{word} {prefix}\n".encode())


def lasts(ms: int) -> None:
    say("start")
    time.sleep(ms / 1000)
    say("end")


@task
def step(n: int, ms: int) -> int:
    lasts(ms)
    return n + 1


@task
def join(a: int, b: int, c: int) -> int:
    lasts(50)
    return a + b + c


@task(retries=2)
def shaky(n: int, ms: int) -> int:
    if int(os.environ["FLYTE_ATTEMPT_NUMBER"]) < 1:
        say("start")
        time.sleep(ms / 1000)
        say("fail")
        raise FlyteRecoverableException("not yet")
    lasts(ms)
    return n + 1


@task(cache=True, cache_version="1")
def known(n: int, ms: int, whose: str) -> int:
    lasts(ms)
    return n + 1


@task
def breaks(n: int, ms: int) -> int:
    say("start")
    time.sleep(ms / 1000)
    say("fail")
    if ms > 0:
        raise ValueError("no luck")
    return n


@workflow
def chain(n: int, ms: int, whose: str) -> int:
    return step(n=step(n=step(n=n, ms=ms), ms=ms), ms=ms)


@workflow
def fan(n: int, ms: int, whose: str) -> int:
    return join(a=step(n=n, ms=ms), b=step(n=n, ms=ms), c=step(n=n, ms=50))


@workflow
def retry(n: int, ms: int, whose: str) -> int:
    return step(n=shaky(n=n, ms=ms), ms=ms)


@workflow
def cached(n: int, ms: int, whose: str) -> int:
    first = known(n=n, ms=ms, whose=whose)
    second = known(n=n, ms=ms, whose=whose)
    first >> second
    return join(a=first, b=second, c=n)


@workflow
def fails(n: int, ms: int, whose: str) -> int:
    return step(n=breaks(n=step(n=n, ms=50), ms=ms), ms=ms)


@workflow
def inner(n: int, ms: int) -> int:
    return step(n=step(n=n, ms=ms), ms=ms)


@workflow
def nested(n: int, ms: int, whose: str) -> int:
    return step(n=inner(n=inner(n=n, ms=ms), ms=50), ms=50)
