"""A dict without types travels as a document.

Covers: Types | untyped dict as STRUCT (generic); Types | Binary with msgpack tag (dataclass, dict, pydantic).
"""

from flytekit import task, workflow


@task
def make(n: int) -> dict:
    return {"n": n, "half": n / 2, "list": [1, "two", None, True], "in": {"deep": {"er": "x"}}}


@task
def read(d: dict) -> str:
    return f"{sorted(d)} {d['n']} {d['in']['deep']['er']} {d['list']}"


@workflow
def wf(n: int = 7) -> tuple[dict, str]:
    d = make(n=n)
    return d, read(d=d)
