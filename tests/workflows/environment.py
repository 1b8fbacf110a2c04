"""Variables of a task and of an execution.

Covers: Exec | envs on executions; Container | {{.outputPrefix}} template; Container | {{.rawOutputDataPrefix}} template.
No oracle: local execution does not set a task's variables.
Options: ["--env", "FROM_RUN=of the run", "--env", "BOTH=run"]
Expect: {"exit": 0, "phase": "SUCCEEDED", "outputs": {"o0": "of the task, of the run, run"}}
"""

import os

from flytekit import task, workflow


@task(environment={"FROM_TASK": "of the task", "BOTH": "task"})
def read() -> str:
    return ", ".join(os.environ[n] for n in ("FROM_TASK", "FROM_RUN", "BOTH"))


@workflow
def wf() -> str:
    return read()
