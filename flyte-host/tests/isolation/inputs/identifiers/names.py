# Names of inputs, outputs, fields and modules are any of Python's identifiers.
from dataclasses import dataclass
from typing import NamedTuple

from flytekit import task, workflow


@dataclass
class Maß:
    größe: int
    名: str


class Ergebnis(NamedTuple):
    länge: int
    名前: str


@task
def messen(größe: int, 名: str) -> Ergebnis:
    return Ergebnis(größe * 2, 名 + "!")


@task
def fassen(länge: int, 名前: str) -> Maß:
    return Maß(größe=länge, 名=名前)


@workflow
def ablauf(größe: int, 名: str) -> Maß:
    gemessen = messen(größe=größe, 名=名)
    return fassen(länge=gemessen.länge, 名前=gemessen.名前)
