# A file two packages deep imports a neighbour relatively, and another module by its whole name.
from flytekit import task, workflow

from trade.fees import fee

from . import rates


@task
def price(amount: float) -> float:
    return amount + fee(amount) + rates.SPREAD


@workflow
def order(amount: float) -> float:
    return price(amount=amount)
