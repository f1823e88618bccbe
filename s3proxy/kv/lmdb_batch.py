"""Running a batch of changes in one LMDB write transaction.

First pass: every change runs directly on the batch's transaction. One that raises before it wrote
anything (a failed condition, the common case) has nothing to undo. Where one raises after writing,
the batch is aborted and run again with each change in a child transaction of its own, which is
thrown away when the change raises. Child transactions cost 2-10 us a change (bench/micro_kv.py),
so only that rare batch pays for them.
"""

from collections.abc import Sequence

import lmdb

from s3proxy.kv.lmdb_pending import Pending
from s3proxy.kv.lmdb_views import Databases, LmdbTransaction

Batch = Sequence[Pending[object]]


class _HalfDoneError(Exception):
    """A change raised after it had written."""


def store(env: lmdb.Environment, databases: Databases, batch: Batch) -> set[str]:
    """Run a batch and make it durable; results and errors are left in its members.

    Returns:
        The keyspaces that may have changed.
    Raises:
        lmdb.Error: nothing of the batch was stored.
    """
    touched: set[str] = set()
    try:
        with env.begin(write=True) as txn:
            _run_directly(LmdbTransaction(databases, txn, touched), batch)
    except _HalfDoneError:
        with env.begin(write=True) as txn:
            _run_isolated(env, LmdbTransaction(databases, txn, touched), batch)
    return touched


def _run_directly(view: LmdbTransaction, batch: Batch) -> None:
    for pending in batch:
        view.written = False
        try:
            pending.result = pending.change(view)
            pending.error = None
        except Exception as error:
            if isinstance(error, lmdb.Error):
                raise
            if view.written:
                raise _HalfDoneError from error
            pending.error = error


def _run_isolated(env: lmdb.Environment, parent: LmdbTransaction, batch: Batch) -> None:
    for pending in batch:
        try:
            with parent.begin_child(env) as child:
                pending.result = pending.change(child)
            pending.error = None
        except Exception as error:
            if isinstance(error, lmdb.Error):
                raise
            pending.error = error
