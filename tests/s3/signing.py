"""Requests signed by botocore, at the real time, and credentials to check them against."""

from collections.abc import Callable

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from s3proxy._fast.http1 import RequestHead
from s3proxy.s3.auth import Authenticator, Credential, Identity, Verified
from tests.s3.heads import head_of

ACCESS_KEY = "AKIDEXAMPLE"
SECRET_KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
REGION = "eu-north-1"
IDENTITY = Identity(ACCESS_KEY, "user-1", "alice", "main")
HOST = "localhost:9000"


def credential(access_key: str) -> Credential | None:
    return Credential(IDENTITY, 1, lambda: SECRET_KEY) if access_key == ACCESS_KEY else None


def authenticator(
    lookup: Callable[[str], Credential | None] = credential,
    clock: Callable[[], float] | None = None,
) -> Authenticator:
    return (
        Authenticator(lookup, REGION)
        if clock is None
        else Authenticator(lookup, REGION, clock=clock)
    )


def sign(
    method: str = "GET",
    target: str = "/bucket/key",
    headers: dict[str, str] | None = None,
    *,
    access_key: str = ACCESS_KEY,
    secret_key: str = SECRET_KEY,
    region: str = REGION,
    token: str | None = None,
) -> RequestHead:
    """A head signed in its headers, over x-amz-content-sha256 where that is given."""
    sent = {"Host": HOST, "X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD", **(headers or {})}
    request = AWSRequest(method, f"http://{HOST}{target}", headers=sent)
    signer = _KeepsPayloadHash(Credentials(access_key, secret_key, token), "s3", region)
    signer.payload_hash = sent["X-Amz-Content-SHA256"]
    signer.add_auth(request)
    return head_of(method, target, list(request.headers.items()))


def presign(
    method: str = "GET",
    target: str = "/bucket/key",
    *,
    expires_s: int = 3600,
    region: str = REGION,
    token: str | None = None,
) -> RequestHead:
    """A head signed in its query."""
    request = AWSRequest(method, f"http://{HOST}{target}")
    credentials = Credentials(ACCESS_KEY, SECRET_KEY, token)
    S3SigV4QueryAuth(credentials, "s3", region, expires_s).add_auth(request)
    return head_of(method, request.url.removeprefix(f"http://{HOST}"), [("Host", HOST)])


def verified(
    payload_hash: str = "UNSIGNED-PAYLOAD", **headers: str
) -> tuple[RequestHead, Verified]:
    """A PUT with headers (underscores are dashes) and what its signature proves."""
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    head = sign("PUT", headers={**sent, "X-Amz-Content-SHA256": payload_hash})
    return head, authenticator().authenticate(head)


class _KeepsPayloadHash(S3SigV4Auth):
    """Signs x-amz-content-sha256 as it was given, any of its words."""

    payload_hash = ""

    def payload(self, request: AWSRequest) -> str:
        return self.payload_hash
