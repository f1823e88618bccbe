"""What a tenant and its users may be called."""

import re
from typing import Final

# Every deployment has it; whoever needs no tenants need not know of them.
MAIN: Final = "main"
ROOT_USER: Final = "root"
# As IAM has it.
USER_NAME_CHARACTERS_MAX: Final = 64

# One label of a host name, since `bucket.tenant.domain` names it.
_TENANT: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
# Ids of users, and AWS's account ids: in policies and ACLs a tenant's name may stand beside them.
_ID: Final = re.compile(r"[0-9]+|[0-9a-f]{16}|[0-9a-f]{32}|[0-9a-f]{64}", re.ASCII)
_RESERVED: Final = "xn--"


def is_tenant_name(name: str) -> bool:
    """Whether a tenant may have this name: a label of a host name that is no id."""
    return (
        _TENANT.fullmatch(name) is not None
        and _ID.fullmatch(name) is None
        and not name.startswith(_RESERVED)
    )


def is_user_name(name: str) -> bool:
    """Whether a user may have this name: 1 to 64 printable characters, not only spaces."""
    return bool(name.strip()) and name.isprintable() and len(name) <= USER_NAME_CHARACTERS_MAX
