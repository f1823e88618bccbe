"""Which gateway processes are alive, so that recovery settles the intents of dead ones only.

Each process holds an exclusive flock on `gateways/<id>` in the data directory for as long as it
lives; the kernel drops it with the process, however that ends. An id is random and never used
twice.
"""

import fcntl
import os
import secrets
from pathlib import Path

_DIRECTORY = "gateways"
_ID_BYTES = 8


class GatewayInstance:
    """This process, as other gateways on the same data directory see it.

    Args:
        data_dir: where the catalog lies; must exist.

    Raises:
        OSError: the lock file cannot be made.
    """

    def __init__(self, data_dir: str | Path) -> None:
        self.id = secrets.token_hex(_ID_BYTES)
        self._directory = Path(data_dir) / _DIRECTORY
        self._directory.mkdir(mode=0o700, exist_ok=True)
        self._path = self._directory / self.id
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def is_live(self, identifier: str) -> bool:
        """Say whether the gateway `identifier` still runs; forgets it when it does not.

        Asked only for ids found in intents: those were locked before they were used.
        """
        if identifier == self.id:
            return True
        path = self._directory / identifier
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        else:
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """Say that this gateway has ended; idempotent."""
        if self._descriptor >= 0:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = -1
