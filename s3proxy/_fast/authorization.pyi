"""The Authorization header, or the X-Amz- query parameters, of Signature Version 4.

Source: AWS, "Authenticating Requests: Using the Authorization Header", "... Query Parameters".
"""

from typing import Never, final

from s3proxy._fast.http1 import RequestHead

EXPIRES_S_MAX: int

@final
class Authorization:
    """What a request claims, parsed and not yet verified; made by `parse_authorization` only."""

    def __init__(self, *args: Never, **kwargs: Never) -> None: ...
    @property
    def access_key(self) -> str:
        """The access key id; unknown to us perhaps."""
    @property
    def date(self) -> str:
        """YYYYMMDD of the credential scope; the day of `amz_date` too."""
    @property
    def region(self) -> str:
        """Region of the credential scope; to be compared by the caller."""
    @property
    def service(self) -> str:
        """Always "s3"."""
    @property
    def scope(self) -> str:
        """The credential scope, YYYYMMDD/region/s3/aws4_request."""
    @property
    def signature(self) -> str:
        """The signature as sent: the seed of a signed aws-chunked body."""
    @property
    def amz_date(self) -> str:
        """YYYYMMDDTHHMMSSZ, from x-amz-date, X-Amz-Date or Date."""
    @property
    def timestamp_s(self) -> int:
        """`amz_date` in seconds since 1970."""
    @property
    def presigned(self) -> bool:
        """Whether the signature came in the query."""
    @property
    def expires_s(self) -> int:
        """Seconds a presigned request lives from `timestamp_s`: 1 to 604800; 0: not presigned."""
    @property
    def payload_hash(self) -> str:
        """x-amz-content-sha256 as sent; "UNSIGNED-PAYLOAD" for a presigned request without it."""
    @property
    def payload_plain(self) -> bool:
        """Whether the payload hash is that of no payload, or "UNSIGNED-PAYLOAD"."""
    def in_order(self, region: str, now_s: float, skew_s_max: float, /) -> bool:
        """Whether region and time are as they should be, and there is no session token.

        Most requests are: one call instead of a look at each. False says only that each has to be
        looked at, as for every presigned request, which may have expired.
        """
    @property
    def signed_headers(self) -> tuple[bytes, ...]:
        """Names of the signed headers as sent."""

def parse_authorization(head: RequestHead, /) -> Authorization | None:
    """Parse what a request says about its signature.

    Returns:
        None for an anonymous request. Time, region, access key and signature are not looked at.
    Raises:
        AuthError: AuthorizationHeaderMalformed, AuthorizationQueryParametersError; InvalidArgument
            for both kinds at once or a foreign scheme; InvalidRequest for Signature Version 2 or a
            missing x-amz-content-sha256; AccessDenied for a missing or unreadable date.
    """
