"""Errors of the compiled leaves; plain Python, so that every layer can catch them.

Exception
 ├── HeadError    a message head or its framing is malformed, ambiguous or too large
 ├── ChunkError   an aws-chunked body is malformed, cut short or wrongly signed
 └── AuthError    a signature or its parameters are malformed or wrong
"""

from collections.abc import Mapping


class HeadError(Exception):
    """A head, or the transfer coding after it, that must not be acted on; the connection is lost.

    Attributes:
        status: what a client is told: 400, 414, 431, 501 or 505; 502 for an upstream's response.
        reason: one line for logs and error bodies; never holds bytes of the message.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(status, reason)
        self.status = status
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.status} {self.reason}"


class ChunkError(Exception):
    """An aws-chunked body that must not become an object; its decoder is dead.

    Attributes:
        code: an S3 error code, such as SignatureDoesNotMatch or IncompleteBody.
        message: one line for the client.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class AuthError(Exception):
    """A request whose signature cannot be accepted.

    Attributes:
        code: an S3 error code, such as AuthorizationHeaderMalformed.
        message: one line for the client.
        fields: further elements of the XML error, by element name.
    """

    def __init__(self, code: str, message: str, fields: Mapping[str, str] | None = None) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.fields = dict(fields or {})

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"
