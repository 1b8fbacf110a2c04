# A program chooses an exit status above 128, or is ended by a signal. A status that stands for no
# signal is shown as a status; SIGKILL names memory as the likely cause, and `--system-retries` bounds
# its retries.
import os
import signal
import sys

from flytekit import task, workflow


@task
def leave(code: int) -> int:
    if code:
        sys.exit(code)
    return code


@task
def killed() -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


@workflow
def by_exit(code: int) -> int:
    return leave(code=code)


@workflow
def by_kill() -> int:
    return killed()
