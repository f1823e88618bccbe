"""The signature of a browser's upload: over the policy document, in fields of the form.

Source: AWS, "Authenticating Requests in Browser-Based Uploads Using POST (AWS Signature V4)";
"Browser-Based Uploads Using POST (AWS Signature Version 2)".
"""

from collections.abc import Mapping

import msgspec

from s3proxy.s3.errors import S3Error, invalid_argument
from s3proxy.s3.post_object import missing_field

ALGORITHM = "AWS4-HMAC-SHA256"


class PostClaim(msgspec.Struct, frozen=True):
    """What a form says of its signature; not yet verified.

    Attributes:
        policy: as sent, which is what is signed.
        date, region: of the credential scope; "" for Signature Version 2.
    """

    policy: bytes
    access_key: str
    signature: bytes
    date: str = ""
    region: str = ""

    @property
    def version_two(self) -> bool:
        """Whether the signature is an HMAC-SHA1 by the secret itself."""
        return not self.date


def parse_claim(fields: Mapping[str, str]) -> PostClaim | None:
    """The signature in a form; None for a form without policy and signature.

    Args:
        fields: by lower-case name.
    Raises:
        S3Error: InvalidArgument (a field is missing, or another algorithm),
            AuthorizationQueryParametersError.
    """
    v4 = "x-amz-signature" in fields or "x-amz-credential" in fields
    v2 = "signature" in fields or "awsaccesskeyid" in fields
    if v4 and v2:
        raise invalid_argument("Only one auth mechanism allowed", "x-amz-signature", "")
    if not v4 and not v2:
        if "policy" in fields:
            raise missing_field("AWSAccessKeyId")
        return None
    required: tuple[str, ...] = ("policy", "awsaccesskeyid", "signature")
    if v4:
        required = ("policy", *_VERSION_4)
    for name in required:
        if name not in fields:
            raise missing_field(name)
    policy = fields["policy"].encode()
    if v4:
        return _version_4(fields, policy)
    return PostClaim(policy, fields["awsaccesskeyid"], fields["signature"].encode())


_VERSION_4 = ("x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature")


def _version_4(fields: Mapping[str, str], policy: bytes) -> PostClaim:
    if fields["x-amz-algorithm"] != ALGORITHM:
        message = f"X-Amz-Algorithm only supports {ALGORITHM}"
        raise invalid_argument(message, "x-amz-algorithm", fields["x-amz-algorithm"])
    parts = fields["x-amz-credential"].split("/")
    if len(parts) != 5 or not parts[0] or parts[3:] != ["s3", "aws4_request"]:
        message = "the Credential is mal-formed; expecting"
        raise bad_credential(f'{message} "<YOUR-AKID>/YYYYMMDD/REGION/s3/aws4_request".')
    access_key, date, region = parts[:3]
    if not (len(date) == 8 and date.isascii() and date.isdecimal()):
        raise bad_credential(f'incorrect date format "{date}".')
    if fields["x-amz-date"][:8] != date:
        raise bad_credential("its date is not that of X-Amz-Date.")
    return PostClaim(policy, access_key, fields["x-amz-signature"].encode(), date, region)


def bad_credential(reason: str) -> S3Error:
    """AuthorizationQueryParametersError about the credential scope."""
    message = f"Error parsing the X-Amz-Credential parameter; {reason}"
    return S3Error("AuthorizationQueryParametersError", message)


def wrong_signature(claim: PostClaim) -> S3Error:
    """SignatureDoesNotMatch, with what was signed."""
    fields = {
        "AWSAccessKeyId": claim.access_key,
        "StringToSign": claim.policy.decode(),
        "SignatureProvided": claim.signature.decode(),
        "StringToSignBytes": claim.policy.hex(" "),
    }
    return S3Error("SignatureDoesNotMatch", **fields)
