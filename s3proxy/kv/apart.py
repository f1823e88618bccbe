"""Work on a database file in a process of its own.

LMDB maps its file: where that is damaged or cut off, reading it can kill the process. And while a
snapshot is open in a process the map cannot be resized there, so one that stays open for minutes
(a copy, a check of everything) would stop the writers of a gateway.

The child ends with its parent, whatever ends that: its standard input is a pipe which the parent
holds open.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import trio

import s3proxy
from s3proxy.kv import errors
from s3proxy.kv.errors import InvalidStore, KvError

# Exit status of a child that says on standard error why it could not.
_REFUSED = 3
_STDERR_BYTES_MAX = 64 << 10
_ROOT = str(Path(s3proxy.__file__).parent.parent)


class _Refusal(msgspec.Struct):
    kind: str
    op: str
    path: str
    hint: str


async def run_apart(
    module: str, path: str, *arguments: str, descriptors: Sequence[int] = ()
) -> bytes:
    """Run `python -m module path arguments…`; what it wrote to standard output.

    Cancelled: the child is ended first.

    Args:
        path: the database file that it works on.
        descriptors: open files that it may use, under the same numbers.
    Raises:
        KvError: what the child raised; InvalidStore when reading the file killed it.
    """
    # -P: nothing in the working directory takes the place of a module.
    command = [sys.executable, "-P", "-m", module, path, *arguments]
    start = partial(
        trio.run_process,
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
        pass_fds=tuple(descriptors),
        env={**os.environ, "PYTHONPATH": _module_path()},
    )
    said, told = bytearray(), bytearray()
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(start)
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        async with process.stdin, process.stdout, process.stderr:
            nursery.start_soon(_gather, process.stderr, told, _STDERR_BYTES_MAX)
            await _gather(process.stdout, said)
            await process.wait()
    return _outcome(process.returncode or 0, path, bytes(said), bytes(told))


def _module_path() -> str:
    """Where the child finds what the parent has found."""
    given = os.environ.get("PYTHONPATH", "")
    return os.pathsep.join(filter(None, (_ROOT, given)))


async def _gather(
    stream: trio.abc.ReceiveStream, into: bytearray, bytes_max: int = sys.maxsize
) -> None:
    try:
        async for piece in stream:
            into += piece[: bytes_max - len(into)]
    except trio.ClosedResourceError:
        return


def _outcome(status: int, path: str, said: bytes, told: bytes) -> bytes:
    if not status:
        return said
    if status < 0:
        name = signal.Signals(-status).name
        raise InvalidStore("read", path, f"damaged: reading it ends the process ({name})")
    if status == _REFUSED:
        refusal = msgspec.json.decode(told.splitlines()[-1], type=_Refusal)
        raise getattr(errors, refusal.kind)(refusal.op, refusal.path, refusal.hint)
    raise KvError("read", path, told.decode(errors="replace").strip() or f"exit status {status}")


def answer(work: Callable[[], bytes]) -> None:
    """The child's side: do the work, write what it returns; a KvError goes to the parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        result = work()
    except KvError as error:
        refusal = _Refusal(type(error).__name__, error.op, error.path, error.hint)
        sys.stderr.buffer.write(msgspec.json.encode(refusal) + b"\n")
        sys.exit(_REFUSED)
    sys.stdout.buffer.write(result)


def _end_with_parent() -> None:
    while os.read(0, 64):
        pass
    os._exit(1)
