"""Users and their access keys."""

import secrets
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from s3proxy.catalog import keys, tables
from s3proxy.catalog.errors import KeyExists, UnknownKey, UnknownUser
from s3proxy.catalog.records import KeyRecord, UserRecord
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.seal import Sealer
from s3proxy.catalog.tables import KEYS, USER_IDS, USERS, allocate_id, encode
from s3proxy.kv.engine import Engine, Transaction

_SEPARATOR = b"\x00"
_ACCESS_KEY_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
# As AWS: 20 characters starting with AKIA, and 40 characters of secret.
_ACCESS_KEY_RANDOM = 16
_SECRET_BYTES = 30


class NewKey(NamedTuple):
    """A key and its secret, the one time it is shown."""

    record: KeyRecord
    secret: str


class UserTable:
    """Users by (tenant, name), access keys by themselves (unique over all tenants)."""

    def __init__(self, engine: Engine, sealer: Sealer, now_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._sealer = sealer
        self._now_ns = now_ns
        self._by_id = Remembered(engine, self._read_by_id, USER_IDS, USERS)

    async def create_user(self, name: str, tenant: str = "main") -> UserRecord:
        """Return the user of that name, making it when it is not there."""
        now_ns = self._now_ns()
        return await self._engine.commit(lambda txn: _ensure_user(txn, name, tenant, now_ns))

    def get_user(self, name: str, tenant: str = "main") -> UserRecord | None:
        """Return the user, or None."""
        value = self._engine.get(USERS, _user_key(tenant, name))
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
        key = _user_key(tenant, name)

        def change(txn: Transaction) -> UserRecord:
            value = txn.get(USERS, key)
            if value is None:
                raise UnknownUser(f"there is no user {name}")
            user = msgspec.structs.replace(tables.users.decode(value), policy=policy)
            txn.put(USERS, key, encode(user))
            # The policy is looked up by the id, under which older users are not found yet.
            txn.put(USER_IDS, user.user_id.encode(), key)
            return user

        return await self._engine.commit(change)

    def list_users(self, tenant: str = "main") -> list[UserRecord]:
        """Return the tenant's users by name."""
        start = tenant.encode() + _SEPARATOR
        with self._engine.read() as view:
            found = view.scan(USERS, start, keys.successor(start))
            return [tables.users.decode(value) for _, value in found]

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
            replace: an existing access key gets this user and secret and is enabled. Its generation
                changes only when something did.

        Raises:
            KeyExists: the access key is taken (without `replace`).
        """
        chosen = access_key or _random_access_key()
        secret = secret_key or secrets.token_urlsafe(_SECRET_BYTES)
        sealed = self._sealer.seal(secret.encode(), table=KEYS, row=chosen)
        now_ns = self._now_ns()

        def change(txn: Transaction) -> KeyRecord:
            value = txn.get(KEYS, chosen.encode())
            if value is not None and not replace:
                raise KeyExists(chosen)
            user = _ensure_user(txn, user_name, tenant, now_ns)
            if value is not None:
                old = tables.keys.decode(value)
                if old.enabled and old.user_id == user.user_id and self.unseal(old) == secret:
                    return old
            record = KeyRecord(
                access_key=chosen,
                user_id=user.user_id,
                user_name=user_name,
                tenant=tenant,
                sealed_secret=sealed,
                created_ns=now_ns,
                generation=int.from_bytes(allocate_id(txn), "big"),
            )
            txn.put(KEYS, chosen.encode(), encode(record))
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

    async def set_key_enabled(self, access_key: str, enabled: bool) -> KeyRecord:
        """Enable or disable a key; a gateway running elsewhere sees it in a fraction of a second.

        Raises:
            UnknownKey: there is none.
        """
        encoded = access_key.encode()

        def change(txn: Transaction) -> KeyRecord:
            value = txn.get(KEYS, encoded)
            if value is None:
                raise UnknownKey(f"there is no access key {access_key}")
            generation = int.from_bytes(allocate_id(txn), "big")
            record = msgspec.structs.replace(
                tables.keys.decode(value), enabled=enabled, generation=generation
            )
            txn.put(KEYS, encoded, encode(record))
            return record

        return await self._engine.commit(change)

    def _read_by_id(self, user_id: str) -> UserRecord | None:
        encoded = user_id.encode(errors="replace")
        if not 0 < len(encoded) <= keys.PIECE_BYTES:
            return None
        key = self._engine.get(USER_IDS, encoded)
        value = None if key is None else self._engine.get(USERS, key)
        return None if value is None else tables.users.decode(value)


def _ensure_user(txn: Transaction, name: str, tenant: str, now_ns: int) -> UserRecord:
    key = _user_key(tenant, name)
    value = txn.get(USERS, key)
    if value is not None:
        return tables.users.decode(value)
    user_id = allocate_id(txn).hex()
    user = UserRecord(user_id=user_id, name=name, tenant=tenant, created_ns=now_ns)
    txn.put(USERS, key, encode(user))
    txn.put(USER_IDS, user_id.encode(), key)
    return user


def _user_key(tenant: str, name: str) -> bytes:
    return tenant.encode() + _SEPARATOR + name.encode()


def _random_access_key() -> str:
    return "AKIA" + "".join(secrets.choice(_ACCESS_KEY_LETTERS) for _ in range(_ACCESS_KEY_RANDOM))
