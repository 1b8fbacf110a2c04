# Dataclasses that hold files and folders are given as documents, with paths relative to the working
# directory of the command.

import os
from dataclasses import dataclass, field
from typing import Dict, List, Optional

from flytekit import task, workflow
from flytekit.types.directory import FlyteDirectory
from flytekit.types.file import FlyteFile


@dataclass
class Order:
    table: FlyteFile
    limit: Optional[int] = None


@dataclass
class Batch:
    orders: List[Order]
    by_name: Dict[str, FlyteFile]
    folder: FlyteDirectory
    extra: Optional[FlyteFile] = None
    notes: List[str] = field(default_factory=list)


@task
def rows(order: Order) -> int:
    with open(order.table) as f:
        return len(f.readlines())


@workflow
def order(order: Order) -> int:
    return rows(order=order)


@task
def all_rows(batch: Batch) -> List[str]:
    files = [o.table for o in batch.orders] + list(batch.by_name.values())
    if batch.extra:
        files.append(batch.extra)
    out = list(batch.notes)
    for file in files:
        with open(file) as f:
            out.append(f"{os.path.basename(f.name)} {len(f.readlines())}")
    return out + sorted(os.listdir(batch.folder.path))


@workflow
def batch(batch: Batch) -> List[str]:
    return all_rows(batch=batch)
