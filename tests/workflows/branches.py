"""A choice inside a choice, its result used further on; the arm that is taken is a sub-workflow.

Covers: Branch | if/elif/else; Branch | AND / OR expressions; Branch | bool is_true / is_false; Branch | nested conditionals; Branch | sub-workflow or launch plan in a branch; Branch | skip propagation.
Inputs: {"x": 7}
"""

from flytekit import conditional, task, workflow


@task
def add(a: int, b: int) -> int:
    return a + b


@task
def name(n: int) -> str:
    return f"n={n}"


@workflow
def twice(a: int) -> int:
    return add(a=add(a=a, b=a), b=1)


@workflow
def wf(x: int = 3, flag: bool = True) -> str:
    inner = (
        conditional("inner")
        .if_((x > 5) & (x < 10))
        .then(twice(a=x))
        .else_()
        .then(add(a=x, b=1000))
    )
    outer = (
        conditional("outer")
        .if_(flag.is_false())
        .then(add(a=x, b=1))
        .elif_((inner == 15) | (inner > 1000))
        .then(
            conditional("deep")
            .if_(x >= 7)
            .then(add(a=inner, b=100))
            .else_()
            .then(add(a=inner, b=200))
        )
        .else_()
        .fail("neither")
    )
    return name(n=outer)
