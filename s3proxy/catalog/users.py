"""Users by (tenant, name)."""

from collections.abc import Callable
from itertools import islice

import msgspec

from s3proxy.catalog import keys, tables, tenants
from s3proxy.catalog.errors import DeleteConflict, InvalidName, UnknownUser, UserExists
from s3proxy.catalog.records import UserRecord
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import (
    BUCKETS,
    KEYS,
    USER_IDS,
    USER_KEYS,
    USERS,
    allocate_id,
    encode,
)
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.tenants import MAIN, USER_NAME_CHARACTERS_MAX, is_user_name

_SEPARATOR = b"\x00"


class UserTable:
    """Users; each name once in a tenant, each id once."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._by_id = Remembered(engine, self._read_by_id, USER_IDS, USERS)

    async def create_user(
        self, name: str, tenant: str = "main", *, new: bool = False
    ) -> UserRecord:
        """Return the user of that name, making it when it is not there.

        Raises:
            InvalidName, UnknownTenant; UserExists: it is there, and shall be `new`.
        """
        now_ns = self._now_ns()

        def change(txn: Transaction) -> UserRecord:
            if new and txn.get(USERS, row_of(tenant, name)) is not None:
                raise UserExists(f"the tenant {tenant} has a user {name} already")
            return ensure(txn, name, tenant, now_ns)

        return await self._engine.commit(change)

    def get_user(self, name: str, tenant: str = "main") -> UserRecord | None:
        """Return the user, enabled or not, or None."""
        row = row_of(tenant, name)
        value = self._engine.get(USERS, row) if len(row) <= keys.PIECE_BYTES else None
        return None if value is None else tables.users.decode(value)

    def get_user_by_id(self, user_id: str) -> UserRecord | None:
        """Return the user of any tenant, or None; remembered."""
        return self._by_id[user_id]

    def get_user_policy(self, user_id: str) -> bytes:
        """Return the user's policy, empty where there is none or no such user; remembered."""
        user = self._by_id[user_id]
        return b"" if user is None else user.policy

    async def set_user_policy(self, name: str, policy: bytes, tenant: str = "main") -> UserRecord:
        """Give a user a policy in place of the one before; empty: none.

        Args:
            policy: a document that was read already.

        Raises:
            UnknownUser: there is none.
        """
        return await self._update(
            name, tenant, lambda user: msgspec.structs.replace(user, policy=policy)
        )

    async def set_user_enabled(self, name: str, enabled: bool, tenant: str = "main") -> UserRecord:
        """Enable or disable a user, with all their keys; a gateway elsewhere sees it in a moment.

        Raises:
            UnknownUser: there is none.
        """
        return await self._update(
            name, tenant, lambda user: msgspec.structs.replace(user, enabled=enabled)
        )

    def get_user_to_delete(self, name: str, tenant: str = "main") -> UserRecord:
        """Return a user who can be deleted now.

        Raises:
            UnknownUser, DeleteConflict: as delete_user.
        """
        with self._engine.read() as view:
            return _deletable(view, name, tenant)

    async def delete_user(self, name: str, tenant: str = "main") -> UserRecord:
        """Remove a user who owns no bucket, with their keys.

        Raises:
            UnknownUser; DeleteConflict: they own a bucket.
        """

        def change(txn: Transaction) -> UserRecord:
            user = _deletable(txn, name, tenant)
            txn.delete(USERS, row_of(tenant, name))
            txn.delete(USER_IDS, user.user_id.encode())
            start = keys_of(tenant, user.user_id)
            for row, _ in list(txn.scan(USER_KEYS, start, keys.successor(start))):
                txn.delete(USER_KEYS, row)
                txn.delete(KEYS, row[len(start) :])
            return user

        return await self._engine.commit(change)

    def list_users(
        self, tenant: str = "main", after: str = "", limit: int | None = None
    ) -> list[UserRecord]:
        """Return the tenant's users by name.

        Args:
            after: only names behind this one.
            limit: at most so many; None: all.
        """
        start = tenant.encode() + _SEPARATOR
        first = row_of(tenant, after)[: keys.PIECE_BYTES] + _SEPARATOR if after else start
        with self._engine.read() as view:
            found = islice(view.scan(USERS, first, keys.successor(start)), limit)
            return [tables.users.decode(value) for _, value in found]

    async def _update(
        self, name: str, tenant: str, change: Callable[[UserRecord], UserRecord]
    ) -> UserRecord:
        def changing(txn: Transaction) -> UserRecord:
            user = change(require(txn, name, tenant))
            row = row_of(tenant, name)
            txn.put(USERS, row, encode(user))
            # Older users are not found by their id yet.
            txn.put(USER_IDS, user.user_id.encode(), row)
            return user

        return await self._engine.commit(changing)

    def _read_by_id(self, user_id: str) -> UserRecord | None:
        encoded = user_id.encode(errors="replace")
        if not 0 < len(encoded) <= keys.PIECE_BYTES:
            return None
        key = self._engine.get(USER_IDS, encoded)
        value = None if key is None else self._engine.get(USERS, key)
        return None if value is None else tables.users.decode(value)


def ensure(txn: Transaction, name: str, tenant: str, now_ns: int) -> UserRecord:
    """Return the user, making it when it is not there.

    Raises:
        InvalidName, UnknownTenant.
    """
    tenants.require(txn, tenant)
    if not is_user_name(name):
        wanted = f"want 1 to {USER_NAME_CHARACTERS_MAX} printable characters"
        raise InvalidName(f"{name!r} cannot name a user: {wanted}")
    row = row_of(tenant, name)
    value = txn.get(USERS, row)
    if value is not None:
        return tables.users.decode(value)
    user_id = allocate_id(txn).hex()
    user = UserRecord(user_id=user_id, name=name, tenant=tenant, created_ns=now_ns)
    txn.put(USERS, row, encode(user))
    txn.put(USER_IDS, user_id.encode(), row)
    return user


def require(txn: Snapshot, name: str, tenant: str) -> UserRecord:
    """Return the user as it is now.

    Raises:
        UnknownUser.
    """
    row = row_of(tenant, name)
    value = txn.get(USERS, row) if len(row) <= keys.PIECE_BYTES else None
    if value is None:
        where = "" if tenant == MAIN else f" in the tenant {tenant}"
        raise UnknownUser(f"there is no user {name}{where}")
    return tables.users.decode(value)


def row_of(tenant: str, name: str) -> bytes:
    """Where a user is kept."""
    return tenant.encode() + _SEPARATOR + name.encode(errors="replace")


def keys_of(tenant: str, user_id: str) -> bytes:
    """What the rows of USER_KEYS begin with that are the user's; the access key follows."""
    return row_of(tenant, user_id) + _SEPARATOR


def _deletable(view: Snapshot, name: str, tenant: str) -> UserRecord:
    user = require(view, name, tenant)
    if owned := _first_owned(view, user):
        raise DeleteConflict(f"the user {name} owns the bucket {owned}; delete it first")
    return user


def _first_owned(txn: Snapshot, user: UserRecord) -> str:
    start = user.tenant.encode() + _SEPARATOR
    for _, value in txn.scan(BUCKETS, start, keys.successor(start)):
        bucket = tables.buckets.decode(value)
        if bucket.owner == user.user_id:
            return bucket.name
    return ""
