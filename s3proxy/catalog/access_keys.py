"""Access keys of users."""

import secrets
from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import msgspec

from s3proxy.catalog import keys, tables, users
from s3proxy.catalog.errors import KeyExists, LimitExceeded, UnknownKey
from s3proxy.catalog.records import KeyRecord, UserRecord
from s3proxy.catalog.seal import Sealer
from s3proxy.catalog.tables import KEYS, META, USER_KEYS, allocate_id, encode
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.limits import RateLimits

# As IAM: one in use, and the next one while clients change over.
ACTIVE_KEYS_MAX = 2

_INDEXED = b"user_keys"
_YES = b"\x01"
_KEY_BYTES_MAX = 511  # of the store
_SEPARATOR = b"\x00"
_ACCESS_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# As AWS: 20 characters starting with AKIA, and 40 characters of secret.
_ACCESS_KEY_RANDOM = 16
_SECRET_BYTES = 30


class NewKey(NamedTuple):
    """A key and its secret, the one time it is shown."""

    record: KeyRecord
    secret: str


class AccessKeyTable:
    """Access keys by themselves (unique over all tenants), and by their users."""

    def __init__(self, engine: Engine, sealer: Sealer, now_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._sealer = sealer
        self._now_ns = now_ns

    async def index_keys(self) -> None:
        """See that keys of older catalogs are found by their users, too; once, before all else."""
        if self._engine.get(META, _INDEXED) is not None:
            return

        def change(txn: Transaction) -> None:
            for _, value in list(txn.scan(KEYS, b"")):
                txn.put(USER_KEYS, _row(tables.keys.decode(value)), _YES)
            txn.put(META, _INDEXED, _YES)

        await self._engine.commit(change)

    async def create_key(
        self,
        user_name: str,
        access_key: str | None = None,
        secret_key: str | None = None,
        *,
        tenant: str = "main",
        replace: bool = False,
    ) -> NewKey:
        """Give a user (made when it is not there) an access key; what is not given is random.

        Args:
            replace: an existing access key gets this user and secret and is enabled, however many
                the user has. Its generation changes only when something did.

        Raises:
            KeyExists: the access key is taken (without `replace`).
            LimitExceeded: the user has two active keys (without `replace`).
            InvalidName, UnknownTenant.
        """
        chosen = access_key or _random_access_key()
        secret = secret_key or secrets.token_urlsafe(_SECRET_BYTES)
        now_ns = self._now_ns()

        def change(txn: Transaction) -> KeyRecord:
            limits = None
            value = txn.get(KEYS, chosen.encode())
            if value is not None and not replace:
                raise KeyExists(f"the access key {chosen} is taken")
            user = users.ensure(txn, user_name, tenant, now_ns)
            if value is not None:
                old = tables.keys.decode(value)
                if old.enabled and old.user_id == user.user_id and self.unseal(old) == secret:
                    return old
                txn.delete(USER_KEYS, _row(old))
                limits = old.limits
            elif not replace:
                _require_room(txn, user)
            record = KeyRecord(
                access_key=chosen,
                user_id=user.user_id,
                user_name=user_name,
                tenant=tenant,
                # Here, so that a rotation which has waited for this transaction finds it stored.
                sealed_secret=self._sealer.seal(secret.encode(), table=KEYS, row=chosen),
                created_ns=now_ns,
                generation=int.from_bytes(allocate_id(txn), "big"),
                limits=limits,
            )
            _store(txn, record)
            return record

        return NewKey(await self._engine.commit(change), secret)

    def get_key(self, access_key: str) -> KeyRecord | None:
        """Return the key, enabled or not, or None."""
        encoded = access_key.encode(errors="replace")
        if not 0 < len(encoded) <= keys.PIECE_BYTES:
            return None
        value = self._engine.get(KEYS, encoded)
        return None if value is None else tables.keys.decode(value)

    def unseal(self, record: KeyRecord) -> str:
        """Return the secret of a key.

        Raises:
            BadMasterKey: it was sealed under another master key.
        """
        sealed = record.sealed_secret
        return self._sealer.unseal(sealed, table=KEYS, row=record.access_key).decode()

    def list_keys(self) -> list[KeyRecord]:
        """Return all keys by access key."""
        with self._engine.read() as view:
            return [tables.keys.decode(value) for _, value in view.scan(KEYS, b"")]

    def list_tenant_keys(
        self,
        tenant: str,
        user_id: str = "",
        after: tuple[str, str] = ("", ""),
        limit: int | None = None,
    ) -> list[KeyRecord]:
        """Return a tenant's keys, by the ids of their users and then by access key.

        Args:
            user_id: only this user's.
            after: the id of a user and an access key; only keys behind these.
            limit: at most so many; None: all.
        """
        start = users.keys_of(tenant, user_id) if user_id else tenant.encode() + _SEPARATOR
        first = users.keys_of(tenant, after[0]) + after[1].encode(errors="replace") + _SEPARATOR
        with self._engine.read() as view:
            rows = view.scan(USER_KEYS, max(start, first[:_KEY_BYTES_MAX]), keys.successor(start))
            return [_indexed(view, row) for row, _ in islice(rows, limit)]

    async def set_key_enabled(
        self, access_key: str, enabled: bool, tenant: str | None = None
    ) -> KeyRecord:
        """Enable or disable a key; a gateway running elsewhere sees it in a fraction of a second.

        Args:
            tenant: the key has to be this one's; None: anyone's.

        Raises:
            UnknownKey: there is none; LimitExceeded: the user has two active keys beside it.
        """

        def change(txn: Transaction) -> KeyRecord:
            record = _require(txn, access_key, tenant)
            if enabled and not record.enabled:
                _require_room(txn, users.require(txn, record.user_name, record.tenant))
            generation = int.from_bytes(allocate_id(txn), "big")
            record = msgspec.structs.replace(record, enabled=enabled, generation=generation)
            _store(txn, record)
            return record

        return await self._engine.commit(change)

    async def set_key_limits(
        self, access_key: str, limits: RateLimits | None, tenant: str | None = None
    ) -> KeyRecord:
        """Give a key limits of its own; a gateway running elsewhere sees it in a moment.

        Args:
            limits: None: those of the server.
            tenant: the key has to be this one's; None: anyone's.

        Raises:
            UnknownKey: there is none.
        """

        def change(txn: Transaction) -> KeyRecord:
            record = msgspec.structs.replace(_require(txn, access_key, tenant), limits=limits)
            _store(txn, record)
            return record

        return await self._engine.commit(change)

    async def delete_key(self, access_key: str, tenant: str | None = None) -> KeyRecord:
        """Remove a key; returns what it was.

        Args:
            tenant: the key has to be this one's; None: anyone's.

        Raises:
            UnknownKey: there is none.
        """

        def change(txn: Transaction) -> KeyRecord:
            record = _require(txn, access_key, tenant)
            txn.delete(KEYS, access_key.encode())
            txn.delete(USER_KEYS, _row(record))
            return record

        return await self._engine.commit(change)


def _require(txn: Transaction, access_key: str, tenant: str | None) -> KeyRecord:
    encoded = access_key.encode(errors="replace")
    value = txn.get(KEYS, encoded) if 0 < len(encoded) <= keys.PIECE_BYTES else None
    record = None if value is None else tables.keys.decode(value)
    if record is None or tenant not in (None, record.tenant):
        raise UnknownKey(f"there is no access key {access_key}")
    return record


def _require_room(txn: Transaction, user: UserRecord) -> None:
    start = users.keys_of(user.tenant, user.user_id)
    rows = txn.scan(USER_KEYS, start, keys.successor(start))
    if sum(_indexed(txn, row).enabled for row, _ in rows) >= ACTIVE_KEYS_MAX:
        raise LimitExceeded(
            f"the user {user.name} has {ACTIVE_KEYS_MAX} active keys; disable or delete one first"
        )


def _store(txn: Transaction, record: KeyRecord) -> None:
    txn.put(KEYS, record.access_key.encode(), encode(record))
    txn.put(USER_KEYS, _row(record), _YES)


def _row(record: KeyRecord) -> bytes:
    return users.keys_of(record.tenant, record.user_id) + record.access_key.encode()


def _indexed(view: Snapshot, row: bytes) -> KeyRecord:
    value = view.get(KEYS, row.split(_SEPARATOR, 2)[2])
    assert value is not None  # both rows are written and removed together
    return tables.keys.decode(value)


def _random_access_key() -> str:
    return "AKIA" + "".join(secrets.choice(_ACCESS_KEY_LETTERS) for _ in range(_ACCESS_KEY_RANDOM))
