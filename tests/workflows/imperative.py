"""A workflow that is put together by calls.

Covers: Workflow | imperative workflows; Types | list (collection).
Inputs: {"x": 4}
"""

from flytekit import Workflow, task


@task
def square(n: int) -> int:
    return n * n


@task
def total(ns: list[int]) -> int:
    return sum(ns)


wf = Workflow(name="imperative.wf")
wf.add_workflow_input("x", int)
one = wf.add_entity(square, n=wf.inputs["x"])
two = wf.add_entity(square, n=one.outputs["o0"])
all_of_them = wf.add_entity(total, ns=[one.outputs["o0"], two.outputs["o0"], wf.inputs["x"]])
wf.add_workflow_output("sum", all_of_them.outputs["o0"])
