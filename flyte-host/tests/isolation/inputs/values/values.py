# Words of the command line for optional texts, and documents for a dataclass and a model of pydantic.
#
# Right: each word is a text, also an empty one and `null`. A document whose fields have other kinds
# than the class names is refused before a task runs: the status is 2, and the message names the field.

from dataclasses import dataclass, field
from enum import Enum
from typing import Optional

from flytekit import task, workflow
from pydantic import BaseModel


class Unit(Enum):
    PIECE = "piece"
    BOX = "box"


@dataclass
class Part:
    name: str


@dataclass
class Basket:
    part: Part
    count: int = 1
    parts: list[Part] = field(default_factory=list)
    prices: dict[str, float] = field(default_factory=dict)
    unit: Unit = Unit.PIECE
    note: Optional[str] = None


class Size(BaseModel):
    width: int
    label: Optional[str] = None


@task
def show(text: Optional[str]) -> str:
    return repr(text)


@workflow
def words(text: Optional[str] = "default") -> str:
    return show(text=text)


@task
def describe(basket: Basket, size: Size) -> str:
    return f"{basket.count + 1} {basket.part.name} {basket.unit.value} {basket.note} {size.width + 1}"


@workflow
def documents(basket: Basket, size: Size) -> str:
    return describe(basket=basket, size=size)
