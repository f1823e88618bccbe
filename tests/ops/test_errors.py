import pytest

from s3proxy.backends import errors as backend
from s3proxy.catalog.errors import BadMasterKey, IntentLost
from s3proxy.http import errors as transport
from s3proxy.kv import errors as kv
from s3proxy.ops.errors import as_s3_error
from s3proxy.s3.errors import STATUSES, S3Error

CODES = [
    (backend.NotFound("head", "k"), "NoSuchKey"),
    (backend.NoSuchContainer("head", "k"), "NoSuchBucket"),
    (backend.NoSuchUpload("put_part", "k"), "NoSuchUpload"),
    (backend.AlreadyExists("put", "k"), "OperationAborted"),
    (backend.PreconditionFailed("put", "k"), "PreconditionFailed"),
    (backend.Conflict("put", "k"), "ConditionalRequestConflict"),
    (backend.PermissionDenied("put", "k"), "InternalError"),
    (backend.Throttled("put", "k"), "SlowDown"),
    (backend.Unavailable("put", "k"), "ServiceUnavailable"),
    (backend.NoSpace("put", "k"), "ServiceUnavailable"),
    (backend.InvalidRange("open", "k"), "InvalidRange"),
    (backend.BodyRejected("put", "k"), "IncompleteBody"),
    (backend.BodyRejected("put", "k", code="BadDigest"), "BadDigest"),
    (backend.InvalidPart("complete", "k"), "InvalidPart"),
    (backend.InvalidPart("complete", "k", code="EntityTooSmall"), "EntityTooSmall"),
    (backend.InvalidKey("put", "k"), "InvalidRequest"),
    (backend.KeyConflict("put", "k"), "InvalidRequest"),
    (backend.Unsupported("create_upload", "k"), "NotImplemented"),
    (backend.InvalidKey("put", "k", code="XMinioOdd"), "InternalError"),
    (backend.BackendError("put", "k"), "InternalError"),
    (transport.Disconnected("gone"), "IncompleteBody"),
    (transport.DeadlineExceeded("receive"), "RequestTimeout"),
    (transport.BodyTooLarge(3), "MaxMessageLengthExceeded"),
    (transport.ProtocolError(400, "bad chunk"), "InvalidRequest"),
    (transport.ProtocolError(502, "bad head"), "ServiceUnavailable"),
    (transport.ConnectFailed("refused"), "ServiceUnavailable"),
    (transport.PoolTimeout("busy"), "ServiceUnavailable"),
    (transport.TransportError("?"), "InternalError"),
    (kv.MapFull("commit", "catalog.mdb", "full"), "ServiceUnavailable"),
    (kv.DiskFull("commit", "catalog.mdb", "full"), "ServiceUnavailable"),
    (kv.WriteFailed("commit", "catalog.mdb", "EROFS"), "ServiceUnavailable"),
    (kv.Broken("commit", "catalog.mdb", "dead"), "InternalError"),
    (IntentLost("0"), "ServiceUnavailable"),
    (BadMasterKey("no"), "InternalError"),
    (S3Error("NoSuchKey"), "NoSuchKey"),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=lambda value: getattr(value, "code", None))
def test_as_s3_error_names_the_code(error: Exception, code: str) -> None:
    mapped = as_s3_error(error)
    assert mapped is not None
    assert mapped.code == code
    assert code in STATUSES


def test_as_s3_error_knows_every_backend_error() -> None:
    kinds = [backend.BackendError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        assert as_s3_error(kind("put", "k", "hint")) is not None


def test_as_s3_error_keeps_paths_and_operators_hints_to_itself() -> None:
    mapped = as_s3_error(backend.PermissionDenied("put", "/srv/data/k", "mounted read-only"))
    assert mapped is not None
    assert "/srv" not in mapped.message
    assert "mounted" not in mapped.message


def test_as_s3_error_of_a_bug_is_none() -> None:
    assert as_s3_error(ValueError("bug")) is None
    assert as_s3_error(AssertionError()) is None
