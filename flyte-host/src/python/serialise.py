"""Asks the user's own flytekit to write the entities of modules as protobuf files.

usage: serialise.py ROOT MODULE[,MODULE...] OUT
Prints one JSON object: the files of the loaded modules under ROOT, and the versions found.

       serialise.py --versions | --environment
Prints the versions of Python and flytekit, or a digest of the interpreter and its packages.
"""

import hashlib
import importlib
import importlib.metadata
import json
import os
import sys
import traceback


def environment() -> str:
    packages = {f"{d.name}=={d.version}" for d in importlib.metadata.distributions()}
    lines = "\n".join([sys.version, *sorted(packages)])
    return hashlib.sha256(lines.encode()).hexdigest()


def main() -> int:
    if sys.argv[1] == "--environment":
        print(environment())
        return 0
    if sys.argv[1] == "--versions":
        try:
            flytekit = importlib.metadata.version("flytekit")
        except importlib.metadata.PackageNotFoundError:
            return 4
        print("Python", sys.version.split()[0] + ",", "flytekit", flytekit)
        return 0
    root, modules, out = sys.argv[1:4]
    modules = modules.split(",")
    sys.path.insert(0, root)
    os.chdir(root)
    try:
        import flytekit
        from flytekit.configuration import Image, ImageConfig, SerializationSettings
        from flytekit.tools.repo import serialize_to_folder
    except ImportError:
        traceback.print_exc()
        return 4
    try:
        for module in modules:
            importlib.import_module(module)
    except BaseException:
        # Only the user's own frames help the user.
        kind, value, tb = sys.exc_info()
        while tb is not None and not tb.tb_frame.f_code.co_filename.startswith(root):
            tb = tb.tb_next
        traceback.print_exception(kind, value, tb)
        return 3
    image = Image(name="default", fqn="flyte-rs-local", tag="none")
    settings = SerializationSettings(
        image_config=ImageConfig(default_image=image, images=[image]),
        python_interpreter=sys.executable,
    )
    try:
        serialize_to_folder(modules, settings, root, out)
    except BaseException:
        traceback.print_exc()
        return 3
    files = set()
    for loaded in list(sys.modules.values()):
        path = getattr(loaded, "__file__", None)
        if path and os.path.abspath(path).startswith(root + os.sep):
            inner = os.path.relpath(os.path.abspath(path), root)
            if not inner.startswith((".venv", ".flyte")) and "site-packages" not in inner:
                files.add(inner)
    found = {
        "files": sorted(files),
        "flytekit": flytekit.__version__,
        "environment": environment(),
    }
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
