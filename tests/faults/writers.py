"""Clients that write to a gateway until it is killed under them."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from botocore.exceptions import BotoCoreError, ClientError

from tests.faults.wire import wait_until
from tests.gateways import Gateway, client

MIB = 1 << 20
ACKNOWLEDGED_S_MAX = 60.0
END_S_MAX = 90.0


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


class Writer(threading.Thread, ABC):
    """Sends requests of its own choice, and counts those that were acknowledged.

    Attributes:
        refusal: an error that the gateway answered; a killed one answers none.
    """

    def __init__(self, url: str, seed: int) -> None:
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.acknowledged = 0
        self.refusal: ClientError | None = None
        # Made here, not in the thread: boto3's session is not for several at once.
        self.s3 = client(url, connect_timeout=5, read_timeout=60, retries={"max_attempts": 0})

    def run(self) -> None:
        """Work until the gateway is gone."""
        try:
            while True:
                self.act()
        except ClientError as error:
            self.refusal = error
        except BotoCoreError:
            pass
        finally:
            self.s3.close()

    @abstractmethod
    def act(self) -> None:
        """Do one thing, and remember what came of it."""


def kill_under(
    gateway: Gateway,
    writers: Sequence[Writer],
    wanted: int,
    *,
    delay_s: float,
    before: Callable[[], object] = lambda: None,
) -> None:
    """Kill the gateway while all write, once so many requests were acknowledged; start it again.

    Args:
        delay_s: until the kill, so that it is not always right after an answer.
        before: called before that.
    """
    for writer in writers:
        writer.start()
    wait_until(lambda: sum(writer.acknowledged for writer in writers) >= wanted, ACKNOWLEDGED_S_MAX)
    before()
    time.sleep(delay_s)
    gateway.kill()
    for writer in writers:
        writer.join(END_S_MAX)
        assert not writer.is_alive()
        assert writer.refusal is None, writer.refusal
    gateway.start()
