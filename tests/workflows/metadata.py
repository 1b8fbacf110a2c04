"""Settings of a workflow that change nothing about its values.

Covers: Workflow | interruptible default; Workflow | tags, QoS; Workflow | failure policy immediate; Deck | deck.html upload and link.
"""

from flytekit import WorkflowFailurePolicy, task, workflow


@task(interruptible=False, enable_deck=True, container_image="none:none")
def up(s: str) -> str:
    """Says it louder."""
    return s.upper()


@workflow(interruptible=True, failure_policy=WorkflowFailurePolicy.FAIL_IMMEDIATELY)
def wf(s: str = "quiet") -> str:
    """Loud."""
    return up(s=s)
