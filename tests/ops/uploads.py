"""Objects that are uploaded in parts."""

from __future__ import annotations

from tests.ops.lab import Answer, Lab


def completion(*etags: str) -> bytes:
    """The document that completes an upload of parts 1, 2, 3 and so on."""
    parts = "".join(
        f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>"
        for number, etag in enumerate(etags, 1)
    )
    return f"<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>".encode()


async def put_parts(lab: Lab, target: str, *pieces: bytes, **headers: str) -> Answer:
    """Upload the pieces and complete them; the headers are those of the upload's start."""
    started = await lab.ask("POST", f"{target}?uploads", **headers)
    upload = f"{target}?uploadId={started.text('UploadId')}"
    parts = [
        await lab.put(f"{upload}&partNumber={number}", data)
        for number, data in enumerate(pieces, 1)
    ]
    return await lab.ask("POST", upload, completion(*(part.etag for part in parts)))
