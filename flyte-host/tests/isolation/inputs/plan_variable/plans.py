# Entities by the variables that hold them: a launch plan and an imperative workflow with names of their
# own, a workflow whose name an imported module has too, and a task with defaults.
from typing import Optional

from flytekit import LaunchPlan, Workflow, task, workflow

import helpers
from helpers import add

weekly_of_helpers = helpers.weekly


@workflow
def weekly(n: int) -> int:
    return add(n=n, by=1)


hourly = LaunchPlan.get_or_create(weekly, name="plans-every-hour", default_inputs={"n": 6})

built = Workflow(name="plans.built-by-hand")
built.add_workflow_input("n", int)
built.add_workflow_output("o0", built.add_entity(add, n=built.inputs["n"], by=2).outputs["o0"])


@task
def shown(k: int = 3, name: str = "a", scale: Optional[float] = None) -> str:
    return f"{k} {name} {scale}"
