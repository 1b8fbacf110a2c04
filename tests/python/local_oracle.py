"""Compares the outputs of a run with flytekit's own local execution of the same entity.

usage: local_oracle.py FILE ENTITY INPUTS_JSON OUTPUTS_PB
Exit 0 if they are equal; 1 with one line for each difference; 2 if local execution failed.
"""

import datetime
import enum
import importlib
import json
import os
import sys

from canonical import canonical, differences


def typed(value, wanted):
    """An input of a command line as a Python caller would give it."""
    if isinstance(wanted, type) and issubclass(wanted, enum.Enum):
        return wanted(value)
    if wanted is datetime.datetime:
        return datetime.datetime.fromisoformat(value)
    if wanted is datetime.timedelta:
        return datetime.timedelta(seconds=float(value.removesuffix("s")))
    return value


def main() -> int:
    file, name, inputs, outputs_pb = sys.argv[1:5]
    sys.path.insert(0, os.path.dirname(os.path.abspath(file)))
    from flyteidl.core import literals_pb2
    from flytekit import FlyteContextManager, LaunchPlan
    from flytekit.core.type_engine import TypeEngine
    from flytekit.models.literals import LiteralMap

    module = importlib.import_module(os.path.splitext(os.path.basename(file))[0])
    entity = getattr(module, name)
    of = entity.workflow if isinstance(entity, LaunchPlan) else entity
    interface = of.python_interface
    given = {k: typed(v, interface.inputs[k]) for k, v in json.loads(inputs).items()}
    result = entity(**given)
    names = list(interface.outputs)
    values = list(result) if len(names) > 1 or isinstance(result, tuple) else [result]
    want = {n: canonical(v) for n, v in zip(names, values, strict=True)} if names else {}

    message = literals_pb2.LiteralMap()
    with open(outputs_pb, "rb") as f:
        message.ParseFromString(f.read())
    literals = LiteralMap.from_flyte_idl(message).literals
    context = FlyteContextManager.current_context()
    have = {
        k: canonical(TypeEngine.to_python_value(context, v, interface.outputs[k]))
        for k, v in literals.items()
    }
    found = differences(want, have)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    try:
        code = main()
    except Exception:
        import traceback

        traceback.print_exc()
        code = 2
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
