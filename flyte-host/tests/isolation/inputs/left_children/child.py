# Tasks that start programs and do not wait for them: in a session of their own, by a double fork, with
# an empty environment. None of them is left when the attempt is over, however it ended. Each program's
# number is noted in a file, by which the test finds it.
import datetime
import os
import subprocess
import time

from flytekit import task, workflow


def begin(note: str) -> None:
    stubborn = "trap '' TERM HUP; sleep 7351; sleep 7351"
    started = [
        subprocess.Popen(["sh", "-c", stubborn], start_new_session=True),
        subprocess.Popen(["sleep", "7351"], env={}),
    ]
    numbers = [p.pid for p in started]
    for p in started:
        # The interpreter shall not mind that they run on.
        p.returncode = 0
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.setsid()
        daemon = os.fork()
        if daemon == 0:
            os.execvp("sleep", ["sleep", "7351"])
        os.write(writer, str(daemon).encode())
        os._exit(0)
    numbers.append(int(os.read(reader, 20)))
    with open(note + ".new", "w") as f:
        f.write(" ".join(str(n) for n in numbers))
    os.rename(note + ".new", note)


@task
def starts(note: str, seconds: int) -> int:
    begin(note)
    time.sleep(seconds)
    return seconds


@task(timeout=datetime.timedelta(seconds=4))
def late(note: str) -> int:
    begin(note)
    time.sleep(600)
    return 1


@workflow
def holds(note: str, seconds: int) -> int:
    return starts(note=note, seconds=seconds)


@workflow
def times_out(note: str) -> int:
    return late(note=note)
