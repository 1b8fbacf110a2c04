"""A data set of which only some columns are wanted.

Covers: Types | StructuredDataset with format and columns.
"""

from typing import Annotated

import pandas as pd
from flytekit import StructuredDataset, kwtypes, task, workflow

Some = Annotated[StructuredDataset, kwtypes(name=str, age=int)]
Age = Annotated[StructuredDataset, kwtypes(age=int)]


@task
def people() -> Some:
    df = pd.DataFrame({"name": ["Tom", "Joe"], "age": [20, 22], "city": ["A", "B"]})
    return StructuredDataset(dataframe=df)


@task
def ages(d: Age) -> list[int]:
    return [int(a) for a in d.open(pd.DataFrame).all()["age"]]


@workflow
def wf() -> tuple[Some, list[int]]:
    d = people()
    return d, ages(d=d)
