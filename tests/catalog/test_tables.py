import msgspec
import pytest

from s3proxy.catalog import tables
from s3proxy.catalog.errors import UnsupportedRecord
from s3proxy.catalog.records import (
    AttributesRecord,
    BlobRef,
    ObjectRecord,
    PartSize,
    UploadRecord,
)

FULL = ObjectRecord(
    size=7,
    etag="etag",
    modified_ns=9,
    storage_class="STANDARD_IA",
    checksum_type="COMPOSITE",
    checksums={"crc32": "AAAAAA=="},
    system={"content-type": "text/plain"},
    user={"a": "é"},
    blobs=(BlobRef("1" * 32, "disk", "c", "n", 7),),
    parts=(PartSize(1, 7, {"crc32": "AAAAAA=="}),),
    tags={"k": "v"},
)


def test_decode_object_round_trips() -> None:
    assert tables.objects.decode(tables.encode(FULL)) == FULL


def test_decode_listed_reads_the_head_of_an_object() -> None:
    listed = tables.listed.decode(tables.encode(FULL))
    assert msgspec.structs.asdict(listed) == {
        "format": 1,
        "size": 7,
        "etag": "etag",
        "modified_ns": 9,
        "storage_class": "STANDARD_IA",
        "checksum_type": "COMPOSITE",
        "checksums": {"crc32": "AAAAAA=="},
    }


def cut_before(record: msgspec.Struct, field: str) -> bytes:
    """The record as it was stored before there was that field, and those behind it."""
    fields = msgspec.msgpack.decode(tables.encode(record))
    return tables.encode(fields[: record.__struct_fields__.index(field)])


def test_decode_record_of_fewer_and_more_fields_is_read() -> None:
    fields = msgspec.msgpack.decode(tables.encode(FULL))
    assert tables.objects.decode(tables.encode([*fields, "later"])) == FULL
    shorter = tables.objects.decode(cut_before(FULL, "tags"))
    assert shorter == msgspec.structs.replace(FULL, tags={})
    shorter = tables.objects.decode(cut_before(FULL, "parts"))
    assert shorter == msgspec.structs.replace(FULL, parts=(), tags={})


def test_decode_records_made_before_there_were_tags_have_none() -> None:
    upload = UploadRecord(upload_id="u", key="k", initiated_ns=1, owner="o", tags={"k": "v"})
    older = tables.uploads.decode(cut_before(upload, "tags"))
    assert older == msgspec.structs.replace(upload, tags={})
    row = AttributesRecord(size=1, mtime_ns=2, etag="e", tags={"k": "v"})
    older_row = tables.attributes.decode(cut_before(row, "tags"))
    assert older_row == msgspec.structs.replace(row, tags={})


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91\x01", b"\xff" * 20])
def test_decode_damaged_record_is_refused(data: bytes) -> None:
    with pytest.raises(UnsupportedRecord, match="ObjectRecord"):
        tables.objects.decode(data)


def test_decode_other_format_is_refused() -> None:
    fields = msgspec.msgpack.decode(tables.encode(FULL))
    with pytest.raises(UnsupportedRecord, match="format 2"):
        tables.objects.decode(tables.encode([2, *fields[1:]]))
