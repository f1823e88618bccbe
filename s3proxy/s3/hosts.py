"""Host names: which of them are the gateway's own, and which name a bucket and a tenant.

A Host header is a name in any case, with a port, a final dot, or an address in brackets. Below one
of the `domains`, what stands before the domain is a bucket (virtual-hosted style); below one of
the `website_domains` it is a bucket whose website is asked for. Any other host is path style.

A bucket may be followed by a tenant: `bucket.tenant.domain`. Bucket names have dots, too, so only
the tenants that there are tell the two apart (`place_of`).
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple


class Place(NamedTuple):
    """What a host name names: a tenant, "" for none, and a bucket, "" for path style."""

    tenant: str
    bucket: str


class Hosts:
    """The host names of one gateway.

    Args:
        domains: API domains, such as "s3.example.com"; none: path style only.
        website_domains: domains of websites; may not be one of `domains`.

    Attributes:
        virtual: whether any host name may name a bucket.
        websites: whether any may be a website's.
    """

    __slots__ = ("_domains", "_websites", "virtual", "websites")

    def __init__(self, domains: Sequence[str] = (), website_domains: Sequence[str] = ()) -> None:
        self._domains = _suffixes(domains)
        self._websites = _suffixes(website_domains)
        self.virtual = bool(self._domains)
        self.websites = bool(self._websites)

    def bucket(self, host: str) -> str:
        """The bucket that the host of an API request names; "" for path style."""
        return _before(host, self._domains) if self.virtual else ""

    def website(self, host: str) -> str:
        """The bucket whose website the host names; "" where it is no website's.

        A host of an API domain that is below a domain of websites is the API's.
        """
        bucket = _before(host, self._websites)
        if not bucket:
            return ""
        name = host_name(host)
        domain = len(name) - len(bucket)
        for suffix in self._domains:
            if len(suffix) > domain and (name.endswith(suffix) or name == suffix[1:]):
                return ""
        return bucket


def place_of(named: str, is_tenant: Callable[[str], bool]) -> Place:
    """Tell a tenant from the end of a bucket's name.

    Args:
        named: what stands before the domain; "" for nothing.
        is_tenant: whether the last label is a tenant's name that counts here.

    Returns:
        The tenant alone, in whose path style the request is; both; or the bucket alone.
    """
    bucket, _, last = named.rpartition(".")
    return Place(last, bucket) if last and is_tenant(last) else Place("", named)


def host_name(host: str) -> str:
    """The name in a Host header: lower case, without its port and a final dot."""
    name = host.lower()
    if name[:1] == "[":
        return name.partition("]")[0] + "]"
    return name.partition(":")[0].rstrip(".")


def _suffixes(domains: Sequence[str]) -> tuple[str, ...]:
    """Longest first: of two that fit, the bucket is what stands before the longer one."""
    names = {"." + domain.lower().strip(".") for domain in domains if domain.strip(".")}
    return tuple(sorted(names, key=len, reverse=True))


def _before(host: str, suffixes: tuple[str, ...]) -> str:
    name = host_name(host)
    for suffix in suffixes:
        if name.endswith(suffix):
            return name[: -len(suffix)]
        if name == suffix[1:]:
            return ""
    return ""
