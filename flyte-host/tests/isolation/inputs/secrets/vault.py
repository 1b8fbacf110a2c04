# Tasks that ask for secrets in each way that flytekit knows, and give their lengths, or what they see.
#
# Right: what `pyflyte run` gives where `_FSEC_...` variables hold them. A secret that this machine
# does not have, or cannot give, is refused before `first` has run: the status is 2, and no file
# `ran` is written.

import os
import stat
from pathlib import Path

from flytekit import Secret, current_context, task, workflow

ENV, FILE = Secret.MountType.ENV_VAR, Secret.MountType.FILE


@task
def first(folder: str) -> int:
    Path(folder, "ran").touch()
    return 1


@task(secret_requests=[Secret(group="db", key="password", group_version="v2", mount_requirement=ENV)])
def versioned(folder: str) -> int:
    return len(current_context().secrets.get("db", "password", group_version="v2"))


@task(secret_requests=[Secret(group="token"), Secret(group="db", key="password", env_var="PG")])
def keyless() -> str:
    return current_context().secrets.get("token") + " " + os.environ["PG"]


@task(
    secret_requests=[
        Secret(group="db", key="password", mount_requirement=FILE, env_var="DB_FILE"),
        Secret(group="my-db", key="password"),
    ]
)
def as_file() -> str:
    secrets = current_context().secrets
    path = Path(os.environ["DB_FILE"])
    modes = [oct(stat.S_IMODE(p.stat().st_mode)) for p in (path, path.parent, path.parent.parent)]
    assert modes == ["0o600", "0o700", "0o700"], modes
    assert "_FSEC_DB_PASSWORD" not in os.environ
    Path(os.environ["NOTE"]).write_text(str(path.parent.parent))
    return secrets.get("db", "password") + " " + secrets.get("my-db", "password")


@workflow
def versions(folder: str) -> int:
    f = first(folder=folder)
    v = versioned(folder=folder)
    f >> v
    return v


@workflow
def all_kinds() -> tuple[str, str]:
    return keyless(), as_file()
