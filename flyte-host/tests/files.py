"""A task that reads a file and writes one; `python files.py OUT` writes its template."""

import os
import sys
import tempfile
from collections import OrderedDict
from pathlib import Path

from flytekit import task
from flytekit.configuration import Image, ImageConfig, SerializationSettings
from flytekit.tools.translator import get_serializable
from flytekit.types.file import FlyteFile


@task
def upper(f: FlyteFile) -> FlyteFile:
    path = os.path.join(tempfile.mkdtemp(), "upper.txt")
    with open(f) as given, open(path, "w") as made:
        made.write(given.read().upper())
    return FlyteFile(path)


if __name__ == "__main__":
    image = Image(name="default", fqn="none", tag="none")
    settings = SerializationSettings(image_config=ImageConfig(default_image=image, images=[image]))
    spec = get_serializable(OrderedDict(), settings, upper)
    Path(sys.argv[1]).write_bytes(spec.template.to_flyte_idl().SerializeToString())
