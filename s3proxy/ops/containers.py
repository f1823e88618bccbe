"""The physical containers of managed buckets: named, made, and removed again."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from s3proxy.backends.errors import AlreadyExists, BackendError, Unavailable
from s3proxy.catalog.errors import NamesTaken
from s3proxy.placement import container_name

if TYPE_CHECKING:
    from s3proxy.catalog.containers import LeftoverContainer
    from s3proxy.catalog.records import BucketRecord
    from s3proxy.ops.call import Services

FOREIGN_MAX = 20  # names in a row that the provider says are somebody else's


async def make_container(services: Services, tenant: str, bucket: str, backend: str) -> str:
    """Make a container of a bucket on a backend, under the first name that is free there.

    The caller holds the bucket's name, and notes the container in the bucket's record; until then
    it is a leftover, which goes by itself.

    Raises:
        BackendError: the backend does not make it.
    """
    target, catalog = services.backend(backend), services.catalog

    def name(counter: int) -> str:
        return _name(services, tenant, bucket, counter, backend)

    taken: list[str] = []
    while len(taken) < FOREIGN_MAX:
        try:
            container = await catalog.claim_container(tenant, bucket, backend, name)
        except NamesTaken as error:
            raise Unavailable("create_container", bucket, str(error), backend) from error
        try:
            await target.create_container(container)
        except AlreadyExists:
            taken.append(container)
            await catalog.disown_container(backend, container)
        else:
            return container
    # A provider that says so of all of them is not believed, or no name would be left in the end.
    for container in taken:
        await catalog.forget_container(backend, container, removed=True)
    hint = f"{FOREIGN_MAX} names of containers are taken"
    raise Unavailable("create_container", container, hint, backend)


async def adopt_containers(services: Services) -> None:
    """Note the containers of buckets made before each was noted."""
    classes = set(services.settings.storage_classes.values()) & services.backends.keys()

    def names(bucket: BucketRecord) -> dict[str, str]:
        return {
            backend: _name(services, bucket.tenant, bucket.name, 0, backend)
            for backend in sorted(classes - {bucket.backend})
        }

    await services.catalog.adopt_containers(names)


async def remove_container(services: Services, leftover: LeftoverContainer) -> bool:
    """Remove a container that no bucket uses; False where blobs are still in it.

    The name of the bucket is held, so that no namesake is made meanwhile, which would use the same
    container.
    """
    target = services.backends.get(leftover.backend)
    if target is None:
        return False
    place = (leftover.backend, leftover.container)
    catalog = services.catalog
    async with services.key_locks.hold_bucket(leftover.tenant, leftover.bucket):
        namesake = catalog.get_bucket(leftover.bucket, leftover.tenant)
        used = namesake is not None and place in containers_of(namesake)
        if not used:
            try:
                delete = partial(target.delete_container, leftover.container)
                await services.health.attempt(leftover.backend, delete)
            except BackendError:
                return False
        await catalog.forget_container(*place, removed=not used)
    return True


def containers_of(bucket: BucketRecord) -> list[tuple[str, str]]:
    """(backend, container) of every place where a managed bucket may have bytes."""
    return sorted({bucket.backend: bucket.container, **bucket.names}.items())


def _name(services: Services, tenant: str, bucket: str, counter: int, backend: str) -> str:
    seed = services.settings.container_seed
    return services.backend(backend).container(
        container_name(seed, tenant, bucket, counter, backend)
    )
