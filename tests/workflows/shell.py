"""A task that is a shell script.

Covers: Container | shell tasks.
"""

from flytekit import kwtypes, task, workflow
from flytekit.extras.tasks.shell import OutputLocation, ShellTask
from flytekit.types.file import FlyteFile

count = ShellTask(
    name="count",
    debug=False,
    script="printf '%s' '{inputs.word}' | wc -c > {outputs.size}",
    inputs=kwtypes(word=str),
    output_locs=[OutputLocation(var="size", var_type=FlyteFile, location="/tmp/{inputs.word}.size")],
)


@task
def read(f: FlyteFile) -> int:
    with open(f) as handle:
        return int(handle.read())


@workflow
def wf(word: str = "flyteword") -> int:
    return read(f=count(word=word))
