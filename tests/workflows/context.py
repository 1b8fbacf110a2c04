"""What a task can learn about where it runs.

Covers: Container | env injection of execution and task identity; Container | attempt number env; Exec | execution name supplied or generated.
No oracle: local execution has a made-up identity.
Name: my-execution
Expect: {"exit": 0, "phase": "SUCCEEDED", "outputs": {"o0": "my-execution flytesnacks development", "o1": "context.who 0"}}
"""

import os

from flytekit import current_context, task, workflow


@task
def who() -> tuple[str, str]:
    e = current_context().execution_id
    task_id = current_context().task_id
    attempt = os.environ["FLYTE_ATTEMPT_NUMBER"]
    return f"{e.name} {e.project} {e.domain}", f"{task_id.name} {attempt}"


@workflow
def wf() -> tuple[str, str]:
    return who()
