# Images by names that only a cluster's configuration has.
from flytekit import task, workflow


@task(container_image="{{.image.gpu.fqn}}:{{.image.gpu.version}}")
def third(n: int) -> int:
    return n // 3


@task(container_image="{{.images.cpu}}")
def twice(n: int) -> int:
    return n * 2


@workflow
def thirds(n: int) -> int:
    return twice(n=third(n=n))
