# Defaults are files and folders, by paths relative to the working directory of the command.

import os
from dataclasses import dataclass
from typing import List

from flytekit import StructuredDataset, task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile


@task(cache=True, cache_version="1")
def count(parts: FlyteFile) -> int:
    with open(parts) as f:
        return len(f.readlines())


@workflow
def stock(parts: FlyteFile = FlyteFile("data/parts.txt")) -> int:
    return count(parts=parts)


@dataclass
class Shop:
    parts: FlyteFile
    name: str


@task(cache=True, cache_version="1")
def look(shop: Shop, folder: FlyteDirectory, table: StructuredDataset) -> List[str]:
    with open(shop.parts) as f:
        lines = len(f.readlines())
    uri = table._literal_sd.uri
    return [shop.name, str(lines), *sorted(os.listdir(folder)), str(os.path.exists(uri))]


@workflow
def shop(
    shop: Shop = Shop(parts=FlyteFile("data/parts.txt"), name="here"),
    folder: FlyteDirectory = FlyteDirectory("data/parts"),
    table: StructuredDataset = StructuredDataset(uri="data/parts.txt", file_format="csv"),
) -> List[str]:
    return look(shop=shop, folder=folder, table=table)
