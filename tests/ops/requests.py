"""One request for every operation of the table."""

from typing import NamedTuple

from s3proxy.ops.table import OPERATIONS
from s3proxy.s3 import subresources


class Asked(NamedTuple):
    """What `Lab.ask` is given; the target begins behind the bucket."""

    method: str
    target: str
    headers: dict[str, str]


def requests(upload_id: str) -> dict[str, Asked]:
    """By operation, on the object `k` with an upload of that id where it is about one."""
    found = dict(_bare(upload_id))
    for table, path in ((subresources.BUCKET, ""), (subresources.OBJECT, "/k")):
        for name, methods in table.items():
            for method, operation in methods.items():
                query = f"uploadId={upload_id}" if name == "uploadId" else name
                if operation == "upload_part":
                    query += "&partNumber=1"
                found.setdefault(operation, Asked(method, f"{path}?{query}", {}))
    return {name: asked for name, asked in found.items() if name in OPERATIONS}


def _bare(upload_id: str) -> dict[str, Asked]:
    part = f"/k?uploadId={upload_id}&partNumber=1"
    copy = {"x_amz_copy_source": "www/k"}
    found = {
        "list_objects_v2": Asked("GET", "?list-type=2", {}),
        "copy_object": Asked("PUT", "/copy", copy),
        "upload_part_copy": Asked("PUT", part, copy),
    }
    for methods, path in ((subresources.BUCKET_METHODS, ""), (subresources.OBJECT_METHODS, "/k")):
        for method, operation in methods.items():
            found[operation] = Asked(method, path, {})
    return found
