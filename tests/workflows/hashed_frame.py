"""A cached task whose frame is known by a hash of its own.

Covers: Types | literal hash (HashMethod); Types | annotations on types; Cache | cache version.
"""

from typing import Annotated

import pandas as pd
from flytekit import HashMethod, task, workflow


def digest(df: pd.DataFrame) -> str:
    return str(pd.util.hash_pandas_object(df).sum())


@task
def make(n: int) -> Annotated[pd.DataFrame, HashMethod(digest)]:
    return pd.DataFrame({"x": [n, n + 1]})


@task(cache=True, cache_version="hash-1")
def total(df: pd.DataFrame) -> int:
    return int(df["x"].sum())


@workflow
def wf(n: int = 20) -> int:
    return total(df=make(n=n))
