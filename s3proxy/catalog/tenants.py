"""Tenants: spaces of bucket names, with the users in them."""

from collections.abc import Callable
from itertools import islice

import msgspec

from s3proxy.catalog import keys, tables
from s3proxy.catalog.errors import DeleteConflict, InvalidName, TenantExists, UnknownTenant
from s3proxy.catalog.records import TenantRecord
from s3proxy.catalog.remembered import Remembered
from s3proxy.catalog.tables import (
    BUCKETS,
    COUNTING,
    KEYS,
    TENANTS,
    TOKENS,
    USAGE,
    USER_IDS,
    USER_KEYS,
    USERS,
    encode,
)
from s3proxy.catalog.usage_records import TENANT_ROWS
from s3proxy.kv.engine import Engine, Snapshot, Transaction
from s3proxy.s3.tenants import MAIN, is_tenant_name

_SEPARATOR = b"\x00"
# Has a row only once something of it was changed.
_MAIN = TenantRecord(name=MAIN, created_ns=0)


class TenantTable:
    """Tenants by name; `main` is always there."""

    def __init__(self, engine: Engine, now_ns: Callable[[], int]) -> None:
        self._engine = engine
        self._now_ns = now_ns
        self._remembered = Remembered(engine, self._read, TENANTS)

    def get_tenant(self, name: str) -> TenantRecord | None:
        """Return the tenant, enabled or not, or None; remembered."""
        return self._remembered[name]

    def list_tenants(self, after: str = "", limit: int | None = None) -> list[TenantRecord]:
        """Return tenants in order of their names.

        Args:
            after: only names behind this one.
            limit: at most so many; None: all.
        """
        with self._engine.read() as view:
            start = after.encode(errors="replace")[: keys.PIECE_BYTES]
            rows = view.scan(TENANTS, start + _SEPARATOR if start else b"")
            found = [tables.tenants.decode(value) for _, value in islice(rows, limit)]
        if after < MAIN and all(tenant.name != MAIN for tenant in found):
            found = sorted([*found, _MAIN], key=lambda tenant: tenant.name)
        return found[:limit]

    async def create_tenant(self, name: str) -> TenantRecord:
        """Make a tenant.

        Raises:
            InvalidName, TenantExists.
        """
        if not is_tenant_name(name):
            raise InvalidName(
                f"{name!r} cannot name a tenant: want 1 to 63 of a-z, 0-9 and -, as in a host name,"
                " and nothing that may be an id (digits alone; 16, 32 or 64 hexadecimal digits)"
            )
        record = TenantRecord(name=name, created_ns=self._now_ns())

        def change(txn: Transaction) -> TenantRecord:
            if find(txn, name) is not None:
                raise TenantExists(f"there is a tenant {name} already")
            txn.put(TENANTS, name.encode(), encode(record))
            return record

        return await self._engine.commit(change)

    async def update_tenant(
        self, name: str, change: Callable[[TenantRecord], TenantRecord]
    ) -> TenantRecord:
        """Store what `change` makes of the tenant as it is now; returns that.

        Raises:
            UnknownTenant. What `change` raises: nothing was stored.
        """

        def changing(txn: Transaction) -> TenantRecord:
            changed = change(require(txn, name))
            txn.put(TENANTS, name.encode(), encode(changed))
            return changed

        return await self._engine.commit(changing)

    async def set_tenant_enabled(self, name: str, enabled: bool) -> TenantRecord:
        """Enable or disable a tenant; a gateway running elsewhere sees it in a moment.

        Raises:
            UnknownTenant.
        """
        return await self.update_tenant(
            name, lambda tenant: msgspec.structs.replace(tenant, enabled=enabled)
        )

    def get_tenant_to_delete(self, name: str) -> TenantRecord:
        """Return a tenant that can be deleted now.

        Raises:
            UnknownTenant, DeleteConflict: as delete_tenant.
        """
        with self._engine.read() as view:
            return _deletable(view, name)

    async def delete_tenant(self, name: str) -> TenantRecord:
        """Remove a tenant that has no bucket, with its users, their keys, and its admins' tokens.

        Raises:
            UnknownTenant; DeleteConflict: it has buckets, or is `main`.
        """
        start = name.encode() + _SEPARATOR
        stop = keys.successor(start)

        def change(txn: Transaction) -> TenantRecord:
            tenant = _deletable(txn, name)
            for row, value in list(txn.scan(USERS, start, stop)):
                txn.delete(USERS, row)
                txn.delete(USER_IDS, tables.users.decode(value).user_id.encode())
            for row, _ in list(txn.scan(USER_KEYS, start, stop)):
                txn.delete(USER_KEYS, row)
                txn.delete(KEYS, row.rpartition(_SEPARATOR)[2])
            for row, value in list(txn.scan(TOKENS, b"")):
                if tables.tokens.decode(value).tenant == name:
                    txn.delete(TOKENS, row)
            txn.delete(TENANTS, name.encode())
            for table in (USAGE, COUNTING):
                txn.delete(table, TENANT_ROWS + name.encode())
            return tenant

        return await self._engine.commit(change)

    def _read(self, name: str) -> TenantRecord | None:
        with self._engine.read() as view:
            return find(view, name)


def find(view: Snapshot, name: str) -> TenantRecord | None:
    """Return the tenant, or None."""
    value = view.get(TENANTS, name.encode()) if is_tenant_name(name) else None
    if value is None:
        return _MAIN if name == MAIN else None
    return tables.tenants.decode(value)


def _deletable(view: Snapshot, name: str) -> TenantRecord:
    tenant = require(view, name)
    if name == MAIN:
        raise DeleteConflict(f"the tenant {MAIN} cannot be deleted; it can be disabled")
    start = name.encode() + _SEPARATOR
    if next(view.scan(BUCKETS, start, keys.successor(start)), None) is not None:
        raise DeleteConflict(f"the tenant {name} has buckets; delete them first")
    return tenant


def require(txn: Snapshot, name: str) -> TenantRecord:
    """Return the tenant as it is now.

    Raises:
        UnknownTenant.
    """
    tenant = find(txn, name)
    if tenant is None:
        raise UnknownTenant(f"there is no tenant {name}")
    return tenant
