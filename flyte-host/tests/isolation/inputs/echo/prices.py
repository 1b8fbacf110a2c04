# Flyte's no-op task: as an arm of a conditional, with several inputs, without any, and cached.
#
# Right: what `pyflyte run` gives: each output is the input at its place.

from flytekit import conditional, task, workflow
from flytekit.core.base_task import TaskMetadata
from flytekit.core.task import Echo

keep = Echo(name="keep", inputs={"price": float})
both = Echo(name="both", inputs={"name": str, "count": int})
nothing = Echo(name="nothing")
kept = Echo(name="kept", inputs={"names": list[str]}, metadata=TaskMetadata(cache=True, cache_version="1"))
twins = Echo(name="twins", inputs={"a": int, "b": int})


@task
def reduced(price: float) -> float:
    return price / 4


@workflow
def sale(price: float) -> float:
    dear = conditional("dear").if_(price > 50.0)
    return dear.then(reduced(price=price)).else_().then(keep(price=price))


@workflow
def several(name: str = "nut", count: int = 3) -> tuple[str, int, list[str]]:
    nothing()
    name, count = both(name=name, count=count)
    return name, count, kept(names=[name, "bolt"])


@workflow
def alike() -> tuple[int, int]:
    a, b = twins(a=1, b=2)
    return a, b
