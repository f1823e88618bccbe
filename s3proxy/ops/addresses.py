"""Which bucket and which tenant a host name means.

Of a request that names an access key, the key has the last word: its tenant's name may end the host
name, another tenant's is part of a bucket's name, as if there were no such tenant. Of any other
request, the last label is a tenant where there is one of that name; where there is none, the
request is for the default tenant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from s3proxy.s3.auth import Identity, anonymous_of
from s3proxy.s3.errors import S3Error
from s3proxy.s3.hosts import Hosts, Place, place_of

if TYPE_CHECKING:
    from s3proxy._fast.http1 import RequestHead
    from s3proxy.catalog.catalog import Catalog
    from s3proxy.ops.call import Services


class Address(msgspec.Struct, frozen=True):
    """What a host name means.

    Attributes:
        bucket: "" for path style.
        nobody: who sends the request, where nobody signed it.
    """

    bucket: str
    nobody: Identity


class Addresses:
    """Reads host names.

    Args:
        tenant_of: the tenant whose access key a request names.
        default_tenant: of requests without a signature, where the host name names none.

    Attributes:
        nobody: who sends a request that nobody signed, in path style.
    """

    def __init__(
        self,
        catalog: Catalog,
        hosts: Hosts,
        tenant_of: Callable[[RequestHead], str | None],
        default_tenant: str,
    ) -> None:
        self._catalog = catalog
        self._hosts = hosts
        self._tenant_of = tenant_of
        self.nobody = anonymous_of(default_tenant)

    def find(self, head: RequestHead) -> Address | None:
        """What the host of a request to the API means; None: nothing, it is path style."""
        named = self._hosts.bucket(head.host)
        if not named:
            return None
        own = self._tenant_of(head)
        place = self._place(named, own)
        return Address(place.bucket, self._anybody(own or place.tenant))

    def find_website(self, named: str) -> Address:
        """What the host of a website means; of a tenant alone there is none.

        Args:
            named: what stands before the domain of websites.
        """
        place = self._place(named, None)
        return Address(place.bucket or named, self._anybody(place.tenant if place.bucket else ""))

    def require_same(self, head: RequestHead, sender: Identity) -> None:
        """Check that the host of a form means to its sender what it meant before they were known.

        Raises:
            S3Error: NoSuchBucket.
        """
        named = self._hosts.bucket(head.host)
        own = None if sender.anonymous else sender.tenant
        if self._place(named, None).bucket != (place := self._place(named, own)).bucket:
            raise S3Error("NoSuchBucket", BucketName=place.bucket)

    def tenant(self, head: RequestHead, nobody: Identity | None) -> str:
        """The tenant of a request whose sender is not known."""
        return self._tenant_of(head) or (nobody or self.nobody).tenant

    def _place(self, named: str, own: str | None) -> Place:
        return place_of(named, self._is_tenant if own is None else own.__eq__)

    def _is_tenant(self, name: str) -> bool:
        return self._catalog.get_tenant(name) is not None

    def _anybody(self, tenant: str) -> Identity:
        return anonymous_of(tenant) if tenant else self.nobody


def require_enabled(services: Services, tenant: str) -> None:
    """Check that a tenant answers anybody.

    Raises:
        S3Error: AllAccessDisabled.
    """
    found = services.catalog.get_tenant(tenant)
    if found is not None and not found.enabled:
        raise S3Error("AllAccessDisabled")
