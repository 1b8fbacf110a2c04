"""Several outputs with names of their own.

Covers: Types | int, float, str, bool literals; Compile | compile workflow template.
Inputs: {"a": 17, "b": 5}
"""

from typing import NamedTuple

from flytekit import task, workflow

Division = NamedTuple("Division", quotient=int, rest=int)
Answer = NamedTuple("Answer", [("whole", int), ("left", int), ("text", str)])


@task
def divide(a: int, b: int) -> Division:
    return Division(a // b, a % b)


@task
def text(q: int, r: int) -> str:
    return f"{q} rest {r}"


@workflow
def wf(a: int, b: int) -> Answer:
    d = divide(a=a, b=b)
    return Answer(d.quotient, d.rest, text(q=d.quotient, r=d.rest))
