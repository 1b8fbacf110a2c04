"""A launch plan with inputs that are fixed and inputs that have other defaults.

Covers: Admin | fixed and default inputs; Admin | launch plan activate, deactivate.
Entity: weekly
Inputs: {"y": 4}
"""

from flytekit import LaunchPlan, task, workflow


@task
def add(x: int, y: int, z: int) -> str:
    return f"{x} {y} {z}"


@workflow
def wf(x: int, y: int, z: int = 3) -> str:
    return add(x=x, y=y, z=z)


weekly = LaunchPlan.create("weekly", wf, default_inputs={"y": 2, "z": 30}, fixed_inputs={"x": 1})
