"""Which bucket and which tenant a host name means.

Of a request that names an access key, the key has the last word: its tenant's name may end the host
name, another tenant's is part of a bucket's name, as if there were no such tenant. Of any other
request, the last label is a tenant where there is one of that name; where there is none, the
request is for the default tenant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import TENANTS
from s3proxy.s3.auth import Identity, anonymous_of
from s3proxy.s3.errors import S3Error
from s3proxy.s3.hosts import Hosts, Place, place_of

if TYPE_CHECKING:
    from s3proxy._fast.http1 import RequestHead
    from s3proxy.catalog.catalog import Catalog
    from s3proxy.ops.call import Services

# Longer ones name nothing: a bucket has at most 255 characters, a tenant 63.
_NAMED_MAX: Final = 320


class Address(msgspec.Struct, frozen=True):
    """What a host name means.

    Attributes:
        bucket: "" for path style.
        nobody: who sends the request, where nobody signed it.
        names_tenant: the host name has a tenant in it.
    """

    bucket: str
    nobody: Identity
    names_tenant: bool


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
        self._remembered = Remembered(catalog.engine, self._read, TENANTS)
        self.nobody = anonymous_of(default_tenant)

    def find(self, head: RequestHead) -> Address | None:
        """What the host of a request to the API means; None: nothing, it is path style."""
        named = self._hosts.bucket(head.host)
        if not named:
            return None
        address = self._to_anybody(named)
        if address.names_tenant and (own := self._tenant_of(head)) is not None:
            return self._address(self._place(named, own), own)
        return address

    def find_website(self, named: str) -> Address:
        """What the host of a website means; of a tenant alone there is none.

        Args:
            named: what stands before the domain of websites.
        """
        address = self._to_anybody(named)
        return address if address.bucket else self._address(Place("", named), "")

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

    def _to_anybody(self, named: str) -> Address:
        """What a host name means to whoever has no key."""
        found = self._remembered[named] if len(named) <= _NAMED_MAX else None
        return self._read(named) if found is None else found

    def _read(self, named: str) -> Address:
        place = self._place(named, None)
        return self._address(place, place.tenant)

    def _place(self, named: str, own: str | None) -> Place:
        return place_of(named, self._is_tenant if own is None else own.__eq__)

    def _is_tenant(self, name: str) -> bool:
        return self._catalog.get_tenant(name) is not None

    def _address(self, place: Place, tenant: str) -> Address:
        nobody = anonymous_of(tenant) if tenant else self.nobody
        return Address(place.bucket, nobody, bool(place.tenant))


def require_enabled(services: Services, tenant: str) -> None:
    """Check that a tenant answers anybody.

    Raises:
        S3Error: AllAccessDisabled.
    """
    found = services.catalog.get_tenant(tenant)
    if found is not None and not found.enabled:
        raise S3Error("AllAccessDisabled")
