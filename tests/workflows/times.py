"""Instants and spans of time.

Covers: Types | datetime and timedelta literals.
"""

from datetime import datetime, timedelta, timezone

from flytekit import task, workflow


@task
def add(t: datetime, d: timedelta) -> tuple[datetime, timedelta]:
    return t + d, d * 2 + timedelta(microseconds=1)


@task
def tell(t: datetime, d: timedelta) -> str:
    return f"{t.astimezone(timezone.utc).isoformat()} {d.total_seconds()}"


@workflow
def wf(
    t: datetime = datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=timezone.utc),
    d: timedelta = timedelta(days=-1, microseconds=7),
) -> tuple[datetime, timedelta, str]:
    later, twice = add(t=t, d=d)
    return later, twice, tell(t=later, d=twice)
