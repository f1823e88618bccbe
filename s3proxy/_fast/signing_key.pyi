"""Derived signing keys and their bounded cache.

Source: AWS, "Create a signed AWS API request", step 3.
"""

from typing import Never, final

from s3proxy._fast.authorization import Authorization

@final
class SigningKey:
    """A signing key as ready HMAC states: signing costs no key schedule. Immutable.

    Made by `SigningKeys.derive` and `derive_signing_key` only.
    """

    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    def sign(self, string_to_sign: bytes, /) -> str:
        """HMAC-SHA256 of the text: 64 lower-case hex digits."""

def derive_signing_key(secret_key: str, date: str, region: str, service: str = "s3") -> SigningKey:
    """A key that is kept by the caller alone, such as the one for an upstream.

    Args:
        secret_key: the secret access key.
        date: YYYYMMDD, the day of the requests to sign.
        region: the region of the credential scope.
        service: the service of the credential scope.
    """

@final
class SigningKeys:
    """The signing keys used last, by credential, its generation, and scope.

    At least the `capacity // 2 - 1` keys used last are there, and never more than `capacity`.

    Args:
        capacity: keys kept; each takes about 0.5 KiB.
    Raises:
        ValueError: the capacity is below 2.
    """

    def __init__(self, capacity: int = 4096) -> None: ...
    @property
    def capacity(self) -> int:
        """The greatest count of keys kept."""
    def __len__(self) -> int: ...
    def get(
        self, access_key: str, generation: int, date: str, region: str, service: str = "s3"
    ) -> SigningKey | None:
        """The kept key; None: it must be derived. A new `generation` of a credential misses."""
    def find(self, claim: Authorization, generation: int, /) -> SigningKey | None:
        """As `get`, for what a request claims."""
    def derive(
        self,
        access_key: str,
        generation: int,
        date: str,
        region: str,
        secret_key: str,
        service: str = "s3",
    ) -> SigningKey:
        """Derive a key and keep it; those unused for longest make room."""
