"""A node that starts an execution of its own by a launch plan with a default and a fixed input.

Covers: Exec | child launch plan execution.
Inputs: {"x": 4}
"""

from flytekit import LaunchPlan, task, workflow


@task
def mul(a: int, b: int, c: int) -> int:
    return a * b + c


@workflow
def inner(a: int, b: int = 10, c: int = 0) -> int:
    return mul(a=a, b=b, c=c)


lp = LaunchPlan.get_or_create(
    workflow=inner, name="inner_with_seven", default_inputs={"b": 3}, fixed_inputs={"c": 7}
)


@workflow
def wf(x: int) -> int:
    first = lp(a=x)
    return mul(a=first, b=2, c=1)
