"""Who sent a request: SigV4 in headers or a presigned URL, checked against an access key.

Signature Version 2 (sigv2.py) is taken where it is configured. The order of checks is AWS's: form,
access key, scope, time, signature. The signing key of (access key, day, region) is taken from a
cache; the secret is unsealed only when it is not there.
Source: AWS, "Authenticating Requests (AWS Signature Version 4)".
"""

import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec

from s3proxy._fast.errors import AuthError
from s3proxy._fast.sigv4 import (
    Authorization,
    SigningKey,
    SigningKeys,
    compare_digest,
    parse_authorization,
    verify,
)
from s3proxy.s3 import sigv2
from s3proxy.s3.errors import S3Error
from s3proxy.s3.limits import RateLimits
from s3proxy.s3.payload import parse_form
from s3proxy.s3.policy import Policy
from s3proxy.s3.post_object import PostForm
from s3proxy.s3.post_policy import parse_policy
from s3proxy.s3.post_signature import (
    ALGORITHM,
    PostClaim,
    bad_credential,
    parse_claim,
    wrong_signature,
)
from s3proxy.s3.rewritten import rewritten
from s3proxy.s3.sigv2 import VersionTwo
from s3proxy.s3.tenants import MAIN, ROOT_USER
from s3proxy.s3.time import iso_seconds

if TYPE_CHECKING:
    from s3proxy._fast.http1 import RequestHead

SKEW_S_MAX: Final = 15 * 60
# What clients sign: Go's SDK "identity", others what their HTTP library asks for.
ACCEPT_ENCODINGS: Final = (
    "identity",
    "gzip",
    "",
    "gzip, deflate",
    "gzip, deflate, br",
    "gzip,deflate",
)
UNSIGNED_PAYLOAD: Final = "UNSIGNED-PAYLOAD"


class Identity(msgspec.Struct, frozen=True):
    """Who an access key belongs to.

    Attributes:
        policy: what the operator allows the user; None: everything with what the user owns.
        by_tags: the policy may ask for the tags that an object has, or is to have.
        anonymous: nobody signed the request; the tenant is the one that it addresses.
        limits: how fast the key may be used; None: at any rate.
    """

    access_key: str
    user_id: str
    user_name: str
    tenant: str
    policy: Policy | None = None
    by_tags: bool = False
    anonymous: bool = False
    limits: RateLimits | None = None

    @property
    def is_root(self) -> bool:
        """Whether the user may do everything in the tenant."""
        return self.user_name == ROOT_USER


@lru_cache(maxsize=256)
def anonymous_of(tenant: str) -> Identity:
    """Who sends a request that nobody signed, to the buckets of a tenant. The id is S3's."""
    user_id = "65a011a29cdf8ec533ec3d1ccaae921c"
    return Identity("", user_id, "anonymous", tenant, anonymous=True)


ANONYMOUS: Final = anonymous_of(MAIN)


class Credential(msgspec.Struct, frozen=True):
    """An enabled access key.

    Attributes:
        generation: changes when the secret does, so that cached signing keys of the old one are not
            found.
        secret: unseals the secret key; called only when no signing key is cached.
    """

    identity: Identity
    generation: int
    secret: Callable[[], str]


class BodyClaim(msgspec.Struct, frozen=True):
    """What stands for an Authorization where no signature goes on into the body.

    Attributes:
        payload_hash: x-amz-content-sha256, or what its absence means.
    """

    payload_hash: str = UNSIGNED_PAYLOAD
    signature: str = ""
    amz_date: str = ""
    scope: str = ""


class Verified(msgspec.Struct, frozen=True, gc=False):
    """A request whose signature holds; the key goes on to verify the chunks of its body.

    Without a key, the form of the body is none that a signature goes on into.
    """

    identity: Identity
    authorization: Authorization | BodyClaim
    key: SigningKey | None


class Authenticator:
    """Verifies request heads.

    Args:
        lookup: the credential of an access key; None when there is none or it is disabled.
        region: the region of a credential scope.
        other_regions: accepted there, too: of buckets that other gateways serve, which SDKs sign
            for once they know.
        clock: seconds since the epoch.
        keys: cache of signing keys.
        version_two: checks Signature Version 2; None: that is refused.
        tolerate_accept_encoding: a signed Accept-Encoding may have been replaced on the way.
    """

    def __init__(
        self,
        lookup: Callable[[str], Credential | None],
        region: str,
        *,
        clock: Callable[[], float] = time.time,
        keys: SigningKeys | None = None,
        version_two: VersionTwo | None = None,
        tolerate_accept_encoding: bool = False,
        other_regions: Collection[str] = (),
    ) -> None:
        self._lookup = lookup
        self._region = region
        self._regions = frozenset((region, *other_regions))
        self._clock = clock
        self._keys = SigningKeys() if keys is None else keys
        self._version_two = version_two
        self._tolerate_accept_encoding = tolerate_accept_encoding

    def tenant_of(self, head: "RequestHead") -> str | None:
        """The tenant whose access key a request names, verified or not; None where it names none.

        For what has to be decided before the signature can be looked at.
        """
        try:
            authorization = parse_authorization(head)
            access_key = None if authorization is None else authorization.access_key
        except AuthError:
            access_key = self._old_access_key(head)
        credential = None if access_key is None else self._lookup(access_key)
        return None if credential is None else credential.identity.tenant

    def _old_access_key(self, head: "RequestHead") -> str | None:
        try:
            claim = None if self._version_two is None else sigv2.parse(head)
        except S3Error:
            return None
        return None if claim is None else claim.access_key

    def authenticate(self, head: "RequestHead", nobody: Identity = ANONYMOUS) -> Verified:
        """Verify a request's signature; one without is from `nobody`.

        Raises:
            S3Error: AccessDenied (expired or not yet valid), InvalidAccessKeyId,
                SignatureDoesNotMatch, RequestTimeTooSkewed, AuthorizationHeaderMalformed,
                AuthorizationQueryParametersError, InvalidToken; InvalidArgument for a payload hash
                that is none, whether there is a payload or not.
        """
        try:
            authorization = parse_authorization(head)
            if authorization is None:
                _refuse_session_token(head)
                return Verified(nobody, body_claim(head), None)
            credential = self._lookup(authorization.access_key)
            if credential is None:
                raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=authorization.access_key)
            if not authorization.in_order(self._region, self._clock(), SKEW_S_MAX):
                self._check_region(authorization)
                self._check_time(authorization)
                _refuse_session_token(head)
            key = self._keys.find(authorization, credential.generation)
            if key is None:
                key = self._derive(credential, authorization)
            verify(head, authorization, key)
            if not authorization.payload_plain:
                parse_form(authorization.payload_hash)
        except AuthError as error:
            # Only here, so that others do not pay for a look at every request.
            verified = self._second_look(head, error.code)
            if verified is None:
                raise S3Error(error.code, error.message, **error.fields) from error
            return verified
        return Verified(credential.identity, authorization, key)

    def authenticate_form(self, form: PostForm, nobody: Identity = ANONYMOUS) -> Verified:
        """Verify the signature of a browser's upload, and that its policy allows the form.

        Sets the range of sizes that the policy gives. A form without a signature is from `nobody`.

        Raises:
            S3Error: InvalidArgument, InvalidAccessKeyId, SignatureDoesNotMatch, AccessDenied (the
                policy expired, or does not allow a field), InvalidPolicyDocument, InvalidRequest.
        """
        claim = parse_claim(form.fields)
        if claim is None:
            return Verified(nobody, BodyClaim(), None)
        credential = self._lookup(claim.access_key)
        if credential is None:
            raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=claim.access_key)
        if not compare_digest(self._form_signature(claim, credential), claim.signature):
            raise wrong_signature(claim)
        policy = parse_policy(claim.policy.decode())
        policy.check(form.fields, self._clock())
        if policy.length_range is not None:
            form.length_range = policy.length_range
        return Verified(credential.identity, BodyClaim(), None)

    def _form_signature(self, claim: PostClaim, credential: Credential) -> bytes:
        if claim.version_two:
            if self._version_two is None:
                message = "The authorization mechanism you have provided is not supported."
                raise S3Error("InvalidRequest", f"{message} Please use {ALGORITHM}.")
            return sigv2.sign(claim.policy, credential.secret())
        if claim.region not in self._regions:
            wrong = f"the region '{claim.region}' is wrong; expecting '{self._region}'"
            raise bad_credential(wrong)
        scope = (claim.access_key, credential.generation, claim.date, claim.region)
        key = self._keys.get(*scope) or self._keys.derive(*scope, credential.secret())
        return key.sign(claim.policy).encode()

    def _second_look(self, head: "RequestHead", code: str) -> Verified | None:
        """What a request that was refused may be besides; None: nothing."""
        if code == "InvalidRequest":
            return self._old_version(head)
        if code == "SignatureDoesNotMatch" and self._tolerate_accept_encoding:
            return self._other_encoding(head)
        return None

    def _other_encoding(self, head: "RequestHead") -> Verified | None:
        """Verify with the values of Accept-Encoding that clients sign; None: it is none of them.

        Content delivery networks replace the header. Everything else in the head has to be as it
        was signed; at most six verifications.
        """
        for value in ACCEPT_ENCODINGS:
            other = rewritten(head, {"accept-encoding": value})
            authorization = parse_authorization(other)
            if authorization is None or b"accept-encoding" not in authorization.signed_headers:
                return None
            credential = self._lookup(authorization.access_key)
            if credential is None:
                return None
            key = self._keys.find(authorization, credential.generation)
            key = key or self._derive(credential, authorization)
            with suppress(AuthError):
                verify(other, authorization, key)
                parse_form(authorization.payload_hash)
                return Verified(credential.identity, authorization, key)
        return None

    def _old_version(self, head: "RequestHead") -> Verified | None:
        """Verify Signature Version 2, where it is taken; None: the request has another."""
        if self._version_two is None or (claim := sigv2.parse(head)) is None:
            return None
        credential = self._lookup(claim.access_key)
        if credential is None:
            raise S3Error("InvalidAccessKeyId", AWSAccessKeyId=claim.access_key)
        _refuse_session_token(head)
        self._version_two.verify(head, claim, credential, self._clock())
        return Verified(credential.identity, body_claim(head), None)

    def _derive(self, credential: Credential, authorization: Authorization) -> SigningKey:
        return self._keys.derive(
            authorization.access_key,
            credential.generation,
            authorization.date,
            authorization.region,
            credential.secret(),
        )

    def _check_region(self, authorization: Authorization) -> None:
        region = self._region
        if authorization.region in self._regions:
            return
        wrong = f"the region '{authorization.region}' is wrong; expecting '{region}'"
        if authorization.presigned:
            raise S3Error(
                "AuthorizationQueryParametersError",
                f"Error parsing the X-Amz-Credential parameter; {wrong}",
                Region=region,
            )
        raise S3Error(
            "AuthorizationHeaderMalformed",
            f"The authorization header is malformed; {wrong}",
            Region=region,
        )

    def _check_time(self, authorization: Authorization) -> None:
        now_s = self._clock()
        signed_s = authorization.timestamp_s
        if not authorization.presigned:
            if abs(now_s - signed_s) > SKEW_S_MAX:
                raise S3Error(
                    "RequestTimeTooSkewed",
                    RequestTime=authorization.amz_date,
                    ServerTime=iso_seconds(now_s),
                    MaxAllowedSkewMilliseconds=str(SKEW_S_MAX * 1000),
                )
            return
        expires_s = authorization.expires_s
        if signed_s - now_s > SKEW_S_MAX:
            times = {"X-Amz-Date": authorization.amz_date, "ServerTime": iso_seconds(now_s)}
            raise S3Error("AccessDenied", "Request is not yet valid", **times)
        if now_s > signed_s + expires_s:
            times = {
                "X-Amz-Expires": str(expires_s),
                "Expires": iso_seconds(signed_s + expires_s),
                "ServerTime": iso_seconds(now_s),
            }
            raise S3Error("AccessDenied", "Request has expired", **times)


def body_claim(head: "RequestHead") -> BodyClaim:
    """The form of the body of a request whose signature, if any, says nothing of it.

    Raises:
        S3Error: InvalidArgument; InvalidRequest for chunks that are signed.
    """
    payload_hash = head.get(b"x-amz-content-sha256") or UNSIGNED_PAYLOAD
    form, _ = parse_form(payload_hash)
    if form.startswith("streaming-signed"):
        message = "Signed chunks need Signature Version 4 in the Authorization header."
        raise S3Error("InvalidRequest", message)
    return BodyClaim(payload_hash)


def _refuse_session_token(head: "RequestHead") -> None:
    """Refuse temporary credentials: there are none, so any token is wrong."""
    token = head.get(b"x-amz-security-token")
    if token is not None or b"X-Amz-Security-Token=" in head.query:
        raise S3Error("InvalidToken", **{"Token-0": token or ""})
