"""Values that are longer than a record should hold: a text, a dataclass, and a part of it."""

from dataclasses import dataclass

from flytekit import conditional, task, workflow


@dataclass
class Page:
    number: int
    text: str


@task
def text(n: int) -> str:
    return "é" * n


@task
def length(text: str) -> int:
    return len(text)


@task
def page(n: int) -> Page:
    return Page(number=n, text="x" * 300_000)


@task
def enough() -> str:
    return "enough"


@workflow
def wf(n: int) -> tuple[str, int, int, str]:
    t = text(n=n)
    p = page(n=n)
    number = p.number
    many = length(text=p.text)
    said = conditional("much").if_(n > 10).then(enough()).else_().fail("too little")
    return t, length(text=t), many, said


@workflow
def back(text: str) -> int:
    return length(text=text)
