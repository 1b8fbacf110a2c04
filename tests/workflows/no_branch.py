"""A choice in which no case holds says so in the author's words; the others are skipped.

Covers: Branch | else fail with a message.
No oracle: local execution raises the author's text as an exception of Python.
Expect: {"exit": 1, "phase": "FAILED", "error": "UserProvidedError", "message": "x is too small"}
"""

from flytekit import conditional, task, workflow


@task
def same(x: int) -> int:
    return x


@workflow
def wf(x: int = 1) -> int:
    return conditional("c").if_(x > 5).then(same(x=x)).else_().fail("x is too small")
