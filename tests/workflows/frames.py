"""Tables as pandas data frames, stored as parquet.

Covers: Types | StructuredDataset with format and columns.
"""

import pandas as pd
from flytekit import task, workflow


@task
def make(n: int) -> pd.DataFrame:
    return pd.DataFrame(
        {"i": range(n), "half": [i / 2 for i in range(n)], "name": [f"r{i}" for i in range(n)]}
    )


@task
def total(df: pd.DataFrame) -> float:
    return float(df["half"].sum())


@workflow
def wf(n: int = 5) -> tuple[pd.DataFrame, float]:
    df = make(n=n)
    return df, total(df=df)
