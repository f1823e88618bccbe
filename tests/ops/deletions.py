"""Requests for DeleteObjects."""

import base64
import hashlib
from xml.sax import saxutils

from tests.ops.lab import Answer, Lab


def delete_document(*keys: str, quiet: bool = False, extra: str = "") -> bytes:
    objects = "".join(f"<Object><Key>{saxutils.escape(key)}</Key>{extra}</Object>" for key in keys)
    return f"<Delete>{objects}<Quiet>{str(quiet).lower()}</Quiet></Delete>".encode()


async def delete(lab: Lab, bucket: str, document: bytes) -> Answer:
    digest = hashlib.md5(document, usedforsecurity=False).digest()
    return await lab.ask(
        "POST", f"/{bucket}?delete", document, content_md5=base64.b64encode(digest).decode()
    )
