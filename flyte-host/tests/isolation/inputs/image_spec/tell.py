# Each task is told the image that it stands for, and no image is built.
from flytekit import ImageSpec, task, workflow

small = ImageSpec(name="small", registry="localhost:30000", packages=["pandas"])
large = ImageSpec(name="large", packages=["torch"])


@task(container_image=small)
def in_small() -> str:
    return f"{small.is_container()} {large.is_container()}"


@task
def in_none() -> str:
    return f"{small.is_container()} {large.is_container()}"


@workflow
def tell() -> tuple[str, str]:
    return in_small(), in_none()
