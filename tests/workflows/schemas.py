"""The older typed tables, and how they mix with data sets.

Covers: Types | Schema (FlyteSchema) with columns; Types | Schema ↔ StructuredDataset interchange.
"""

import pandas as pd
from flytekit import kwtypes, task, workflow
from flytekit.types.schema import FlyteSchema

Table = FlyteSchema[kwtypes(x=int, y=str)]


@task
def make(n: int) -> Table:
    s = Table()
    s.open().write(pd.DataFrame({"x": list(range(n)), "y": ["z"] * n}))
    return s


@task
def as_frame(df: pd.DataFrame) -> int:
    return int(df["x"].sum())


@workflow
def wf(n: int = 3) -> int:
    return as_frame(df=make(n=n))
