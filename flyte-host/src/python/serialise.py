"""Asks the user's own flytekit to write the entities of modules as protobuf files.

usage: serialise.py [--installed] ROOT OUT MODULE...
Imports the modules from the folder ROOT; with --installed from the interpreter's own path. Writes
into OUT a file for each entity, and `read.json`: the files of the loaded modules below ROOT, the names
in ROOT that other modules hide, the entities by their Python variables, the defaults of tasks, and the
versions found.

       serialise.py --versions | --environment
Prints the versions of Python and flytekit, or a digest of the interpreter and its packages.

Exit status: 3 the modules cannot be read, 4 there is no flytekit, 5 another module has the name.
"""

import sys

# `-c` puts the working directory first, which tasks do not have.
if sys.path and sys.path[0] == "":
    del sys.path[0]

import hashlib
import importlib
import importlib.metadata
import json
import os
import site
import traceback


def environment() -> str:
    packages = {f"{d.name}=={d.version}" for d in importlib.metadata.distributions()}
    lines = "\n".join([sys.version, *sorted(packages)])
    return hashlib.sha256(lines.encode()).hexdigest()


def below(path: str, folder: str) -> bool:
    return os.path.abspath(path).startswith(os.path.join(folder, ""))


def load(modules, root, installed) -> int:
    """Imports the modules; 0, or the exit status of what went wrong."""
    try:
        loaded = [importlib.import_module(module) for module in modules]
    except BaseException:
        # Only the user's own frames help the user.
        kind, value, tb = sys.exc_info()
        while tb is not None and not tb.tb_frame.f_code.co_filename.startswith(root):
            tb = tb.tb_next
        traceback.print_exception(kind, value, tb)
        return 3
    for module in loaded:
        path = getattr(module, "__file__", None)
        if not installed and (path is None or not below(path, root)):
            print(f"`{module.__name__}` is {path or 'built into Python'}", file=sys.stderr)
            return 5
    return 0


def loaded_files(root):
    """The files of user modules below the root."""
    known = {sys.prefix, sys.base_prefix, site.getusersitepackages(), *site.getsitepackages()}
    # The code itself may lie below a prefix, such as /usr/src below /usr.
    known = [os.path.realpath(k) for k in known]
    known = [k for k in known if not below(root, k) and k != root]
    files = set()
    for module in list(sys.modules.values()):
        path = getattr(module, "__file__", None)
        if not isinstance(path, str) or not below(path, root) or not os.path.isfile(path):
            continue
        path = os.path.abspath(path)
        inner = os.path.relpath(path, root)
        if "site-packages" in inner.split(os.sep) or any(below(path, k) for k in known):
            continue
        if inner.split(os.sep)[0] not in (".venv", ".flyte"):
            files.add(inner)
    return sorted(files)


def hidden(root):
    """Names in the root that were imported from elsewhere: there they would come first."""
    names = set()
    for entry in os.scandir(root):
        name, suffix = os.path.splitext(entry.name)
        is_package = entry.is_dir() and os.path.exists(os.path.join(entry.path, "__init__.py"))
        if not is_package and suffix not in (".py", ".pyc", ".so"):
            continue
        module = sys.modules.get(entry.name if is_package else name.split(".")[0])
        path = getattr(module, "__file__", None)
        if isinstance(path, str) and not below(path, root):
            names.add(entry.name)
    return sorted(names)


def images():
    """Processes have no images: names of images stay as they are, and no image is built.

    The tag of an `ImageSpec` holds its id, by which tasks are told their image."""
    from flytekit import ImageSpec
    from flytekit.configuration import Image, ImageConfig
    from flytekit.core.context_manager import FlyteEntities

    class Names(ImageConfig):
        def find_image(self, name):
            found = super().find_image(name)
            if found is None:
                part = "{{.image.%s.%s}}"
                found = Image(name=name, fqn=part % (name, "fqn"), tag=part % (name, "version"))
                self.images.append(found)
            return found

    default = Image(name="default", fqn="flyte-rs-local", tag="none")
    known = {"default": default}
    for entity in FlyteEntities.entities:
        spec = getattr(entity, "container_image", None) or getattr(entity, "_image", None)
        if isinstance(spec, ImageSpec):
            fqn = f"{spec.registry}/{spec.name}" if spec.registry else spec.name
            known[spec.id] = Image(name=spec.id, fqn=fqn, tag=f"_F_IMG_ID.{spec.id}")
    return Names(default_image=default, images=list(known.values()))


def keep_files_in_place(ctx):
    """Files that values name are not copied when a file is read: their paths stay, made absolute."""
    files = ctx.file_access
    put = files.async_put_raw_data

    async def keep(lpath, *args, **kwargs):
        if isinstance(lpath, (str, os.PathLike)) and os.path.exists(lpath):
            return os.path.abspath(lpath)
        return await put(lpath, *args, **kwargs)

    files.async_put_raw_data = keep


def variables(modules):
    """The entities of modules as (module, variable, kind, entity)."""
    from flytekit import LaunchPlan
    from flytekit.core.base_task import PythonTask
    from flytekit.core.workflow import WorkflowBase

    kinds = [(LaunchPlan, "launch plan"), (WorkflowBase, "workflow"), (PythonTask, "task")]
    for module in modules:
        for variable, value in sorted(vars(sys.modules[module]).items()):
            kind = next((k for t, k in kinds if isinstance(value, t)), None)
            if kind is not None:
                yield module, variable, kind, value


def defaults(ctx, task):
    """The defaults of a task's Python function, as literals; templates of tasks have none."""
    from flytekit.core.type_engine import TypeEngine, UnionTransformer
    from flytekit.models.literals import Literal, LiteralMap, Scalar, Void

    found = {}
    for name, (kind, value) in (task.python_interface.inputs_with_defaults or {}).items():
        if value is None and UnionTransformer.is_optional_type(kind):
            found[name] = Literal(scalar=Scalar(none_type=Void()))
        elif value is not None:
            try:
                wanted = task.interface.inputs[name].type
                found[name] = TypeEngine.to_literal(ctx, value, kind, wanted)
            except Exception as e:
                # The input must be given, then.
                print(f"{task.name}: the default of `{name}`: {e}", file=sys.stderr)
    return LiteralMap(found)


def write(out, name, message):
    with open(os.path.join(out, name), "wb") as file:
        file.write(message.to_flyte_idl().SerializeToString())


def serialise(root, out, modules) -> dict:
    from flytekit.configuration import SerializationSettings
    from flytekit.core.context_manager import FlyteContextManager
    from flytekit.models.admin.workflow import WorkflowSpec
    from flytekit.models.task import TaskSpec
    from flytekit.tools.serialize_helpers import get_registrable_entities

    settings = SerializationSettings(image_config=images(), python_interpreter=sys.executable)
    settings.source_root = root
    ctx = FlyteContextManager.current_context().with_serialization_settings(settings)
    found, tasks = [], {}
    with FlyteContextManager.with_context(ctx) as ctx:
        for n, entity in enumerate(get_registrable_entities(ctx)):
            kind = 1 if isinstance(entity, TaskSpec) else 2 if isinstance(entity, WorkflowSpec) else 3
            name = (entity if kind == 3 else entity.template).id.name.replace("/", "-")[:60]
            write(out, f"{n:06}_{name}_{kind}.pb", entity)
        for module, variable, kind, entity in variables(modules):
            found.append({"module": module, "variable": variable, "kind": kind, "name": entity.name})
            if kind == "task" and entity.name not in tasks:
                tasks[entity.name] = f"defaults-{len(tasks)}.literals"
                write(out, tasks[entity.name], defaults(ctx, entity))
    return {"entities": found, "defaults": tasks}


def main() -> int:
    arguments = sys.argv[1:]
    if arguments[0] == "--environment":
        print(environment())
        return 0
    if arguments[0] == "--versions":
        try:
            flytekit = importlib.metadata.version("flytekit")
        except importlib.metadata.PackageNotFoundError:
            return 4
        print("Python", sys.version.split()[0] + ",", "flytekit", flytekit)
        return 0
    installed = arguments[0] == "--installed"
    root, out, *modules = arguments[installed:]
    try:
        import flytekit
        from flytekit.core.context_manager import FlyteContextManager
    except ImportError:
        traceback.print_exc()
        return 4
    if not installed:
        sys.path.insert(0, root)
    keep_files_in_place(FlyteContextManager.current_context())
    status = load(modules, root, installed)
    if status != 0:
        return status
    try:
        found = serialise(root, out, modules)
    except BaseException:
        traceback.print_exc()
        return 3
    found["files"] = [] if installed else loaded_files(root)
    found["hidden"] = [] if installed else hidden(root)
    found["flytekit"] = flytekit.__version__
    found["environment"] = environment()
    with open(os.path.join(out, "read.json"), "w") as file:
        json.dump(found, file)
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
