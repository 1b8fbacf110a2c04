"""Dataclasses inside dataclasses, and attributes of them.

Covers: Types | dataclass_type structure; Types | attribute access on dataclass promise; Types | Binary with msgpack tag (dataclass, dict, pydantic).
"""

from dataclasses import dataclass, field
from typing import Optional

from flytekit import task, workflow


@dataclass
class Address:
    street: str
    number: int


@dataclass
class Person:
    name: str
    home: Address
    tags: list[str] = field(default_factory=list)
    scores: dict[str, float] = field(default_factory=dict)
    other: Optional[Address] = None


@task
def person(name: str) -> Person:
    return Person(name, Address("Unter den Linden", 2**40), ["a", "ü"], {"x": 0.25})


@task
def line(street: str, number: int, tag: str, x: float, home: Address) -> str:
    return f"{street} {number} {tag} {x} {home.number}"


@workflow
def wf(name: str = "Ada") -> tuple[Person, Address, str]:
    p = person(name=name)
    text = line(
        street=p.home.street, number=p.home.number, tag=p.tags[1], x=p.scores["x"], home=p.home
    )
    return p, p.home, text
