# A step of a random program: it creates, appends to, renames, deletes and lists files in its working directory, in
# its inputs and in its outputs. The workflow beside it is written by the test, with what is right.

import json
import os
import shutil
import tempfile
from pathlib import Path

from flytekit import FlyteDirectory, FlyteFile, task
from flytekit.exceptions.user import FlyteRecoverableException


def act(ops: list, places: dict) -> str:
    def at(place, name: str) -> Path:
        root, alone = places[place]
        return root if alone else root / name

    def put(path: Path, text: str, mode: str):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, mode) as f:
            f.write(text)

    listed = []
    for kind, place, *rest in ops:
        if kind == "create":
            put(at(place, rest[0]), rest[1], "w")
        elif kind == "append":
            put(at(place, rest[0]), rest[1], "a")
        elif kind == "rename":
            old, new = at(place, rest[0]), at(rest[1], rest[2])
            if old.is_file() and old != new:
                new.parent.mkdir(parents=True, exist_ok=True)
                shutil.move(old, new)
        elif kind == "delete":
            at(place, rest[0]).unlink(missing_ok=True)
        else:
            root, alone = places[place]
            if alone:
                found = {"": root} if root.is_file() else {}
            else:
                found = {p.relative_to(root).as_posix(): p for p in root.rglob("*") if p.is_file()}
            for name in sorted(found):
                if not name.endswith(".py") and name != "keep":
                    listed.append(f"{name}:{found[name].read_text()}\n")
    return "".join(listed)


@task(retries=1)
def step(
    attempts: str, alone: str, folders: list[FlyteDirectory], files: list[FlyteFile]
) -> tuple[FlyteDirectory, dict[str, FlyteFile], str]:
    all = json.loads(attempts)
    number = int(os.environ["FLYTE_ATTEMPT_NUMBER"])
    # The model's code has this file; it is not there yet, whatever ran before.
    os.mkdir("package")
    Path("package/data.txt").write_text("as written")
    output = Path(tempfile.mkdtemp())
    places = {"work": (Path("."), False), "output": (output, False)}
    left = {False: iter(folders), True: iter(files)}
    for k, is_file in enumerate(json.loads(alone)):
        places[k] = (Path(next(left[is_file]).download()), is_file)
    listed = act(all[number], places)
    if number + 1 < len(all):
        raise FlyteRecoverableException("the next attempt")
    names = sorted(p.relative_to(output).as_posix() for p in output.rglob("*") if p.is_file())
    # An empty folder cannot be uploaded.
    (output / "keep").touch()
    return FlyteDirectory(str(output)), {n: FlyteFile(str(output / n)) for n in names}, listed
