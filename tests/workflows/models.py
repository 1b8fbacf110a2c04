"""Pydantic models, and attributes of them.

Covers: Types | Binary with msgpack tag (dataclass, dict, pydantic); Types | attribute access on dataclass promise.
"""

from flytekit import task, workflow
from pydantic import BaseModel


class Layer(BaseModel):
    width: int
    rate: float = 0.5


class Net(BaseModel):
    name: str
    layers: list[Layer]


@task
def build(n: int) -> Net:
    return Net(name="net", layers=[Layer(width=2**i) for i in range(n)])


@task
def weigh(net: Net, name: str) -> str:
    return f"{name}: {sum(layer.width for layer in net.layers)}"


@workflow
def wf(n: int = 4) -> tuple[Net, str]:
    net = build(n=n)
    return net, weigh(net=net, name=net.name)
