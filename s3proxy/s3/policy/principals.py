"""The Principal element.

Source: IAM User Guide, "AWS JSON policy elements: Principal".
"""

import re
from typing import Final

from s3proxy.s3.policy.json_text import Json, Number, malformed
from s3proxy.s3.policy.statements import Principals

_KINDS: Final = frozenset({"AWS", "CanonicalUser", "Service", "Federated"})
_IAM: Final = re.compile(r"arn:aws[a-z-]*:iam::([^:]*):(root|user/(.+))", re.DOTALL)
# Who these are, no request here can be.
_FOREIGN: Final = re.compile(
    r"arn:aws[a-z-]*:(?:iam::[^:]*:(?:role|group|saml-provider|oidc-provider)/.+"
    r"|sts::[^:]*:(?:assumed-role|federated-user)/.+)",
    re.DOTALL,
)
# No tenant has such a name: policies written for AWS mean the users of the bucket's tenant.
_NUMBER: Final = re.compile(r"[0-9]*", re.ASCII)
_BARE_ID: Final = re.compile(r"[A-Za-z0-9_.-]+")


def read_principals(value: Json, *, excluded: bool) -> Principals:
    """Read a Principal or NotPrincipal.

    Raises:
        S3Error: MalformedPolicy, "Invalid principal in policy".
    """
    if value == "*":
        return Principals(excluded=excluded, anyone=True)
    if not isinstance(value, dict) or not value:
        raise _invalid(value)
    found = _Found()
    for kind, texts in value.items():
        if kind not in _KINDS:
            raise _invalid(kind)
        for text in _texts(texts):
            found.add(kind, text)
    return Principals(
        excluded=excluded,
        anyone=found.anyone,
        names=frozenset(found.names),
        users=frozenset(found.users),
        ids=frozenset(found.ids),
        tenants=frozenset(found.tenants),
        services=frozenset(found.services),
    )


class _Found:
    """What a Principal element names, while it is read."""

    def __init__(self) -> None:
        self.anyone = False
        self.names: set[str] = set()
        self.users: set[tuple[str, str]] = set()
        self.ids: set[str] = set()
        self.tenants: set[str] = set()
        self.services: set[str] = set()

    def add(self, kind: str, text: str) -> None:
        if kind == "AWS" and text == "*":
            self.anyone = True
        elif not text or "*" in text or "?" in text:
            raise _invalid(text)
        elif kind == "AWS":
            self._add_aws(text)
        elif kind == "CanonicalUser":
            self.ids.add(text)
        elif kind == "Service":
            self.services.add(text)

    def _add_aws(self, text: str) -> None:
        match = _IAM.fullmatch(text)
        if match is not None and match[3]:
            if _NUMBER.fullmatch(match[1]):
                self.names.add(match[3])
            else:
                self.users.add((match[1], match[3]))
            return
        account = match[1] if match is not None else text
        if _BARE_ID.fullmatch(account):
            self.ids.add(account)
            self.tenants.add(account)
        elif _FOREIGN.fullmatch(text) is None:
            raise _invalid(text)


def _texts(value: Json) -> list[str]:
    found = []
    for text in value if isinstance(value, list) else [value]:
        if not isinstance(text, str) or isinstance(text, Number):
            raise _invalid(text)
        found.append(text)
    if not found:
        raise _invalid(value)
    return found


def _invalid(value: Json) -> Exception:
    return malformed("Invalid principal in policy", value if isinstance(value, str) else "")
