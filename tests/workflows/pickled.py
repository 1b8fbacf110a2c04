"""Objects of any class.

Covers: Types | Pickle (blob/binary by tag); Types | custom type transformers via structure tag.
"""

from flytekit import task, workflow


class Tree:
    def __init__(self, name: str, leaves: list):
        self.name = name
        self.leaves = leaves

    def __eq__(self, other):
        return isinstance(other, Tree) and vars(self) == vars(other)


@task
def grow(n: int) -> Tree:
    return Tree("oak", [Tree(f"leaf {i}", []) for i in range(n)])


@task
def count(t: Tree) -> int:
    return 1 + len(t.leaves)


@workflow
def wf(n: int = 3) -> tuple[Tree, int]:
    t = grow(n=n)
    return t, count(t=t)
