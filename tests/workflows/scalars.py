"""Numbers, texts and truth values, at their edges.

Covers: Types | int, float, str, bool literals.
Inputs: {"big": 9223372036854775807, "x": -0.0, "s": "naïve \u2603 \"quoted\"", "yes": true}
"""

from flytekit import task, workflow


@task
def edges(big: int, x: float, s: str, yes: bool) -> tuple[int, int, float, float, str, bool]:
    return big, -(2**63), x, 1e308 * 10, s + "\n\ttab", not yes


@task
def again(a: int, b: int, x: float, inf: float, s: str, no: bool) -> str:
    return f"{a} {b} {x!r} {inf!r} {s!r} {no!r}"


@workflow
def wf(big: int, x: float, s: str, yes: bool) -> tuple[int, int, float, float, str, bool, str]:
    a, b, c, d, e, f = edges(big=big, x=x, s=s, yes=yes)
    return a, b, c, d, e, f, again(a=a, b=b, x=c, inf=d, s=e, no=f)
