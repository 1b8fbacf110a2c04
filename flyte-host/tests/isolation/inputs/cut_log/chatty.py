# A task prints more than a log may have and says at last why it dies. The error's message and the end of
# the log have the last words: the middle of a log is cut, and one line says how much.
import os
import sys

from flytekit import task, workflow

LAST = "LAST WORDS: mount 7 is full\n"


@task
def chatty(lines: int, kind: str) -> int:
    for i in range(lines):
        sys.stderr.write(f"progress {i:07d} " + "." * 80 + "\n")
    if kind == "abort":
        sys.stderr.write(LAST)
        sys.stderr.flush()
        os.abort()
    if kind == "block":
        # One write without a line end, longer than the bound.
        os.write(2, b"x" * (10 << 20))
        os.write(2, b"\n" + LAST.encode())
        os._exit(5)
    return lines


@workflow
def noisy(lines: int, kind: str) -> int:
    return chatty(lines=lines, kind=kind)
