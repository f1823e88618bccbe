"""Policies as Python, and short questions to them."""

import json
from typing import Any

from s3proxy.s3.policy import Policy, PolicyRequest, Principal, evaluate, parse_policy

BUCKET = "amzn-s3-demo-bucket"
ARN = f"arn:aws:s3:::{BUCKET}"
ALICE = Principal("1111", "alice", "main")
BOB = Principal("2222", "bob", "main")


def document(*statements: dict[str, Any], version: str = "2012-10-17") -> bytes:
    return json.dumps({"Version": version, "Statement": list(statements)}).encode()


def allow(actions: Any, resources: Any, **elements: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **elements}


def deny(actions: Any, resources: Any, **elements: Any) -> dict[str, Any]:
    return {**allow(actions, resources, **elements), "Effect": "Deny"}


def bucket_policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    """The policy of BUCKET; a statement is for everyone unless it says otherwise."""
    named = [
        each if "Principal" in each or "NotPrincipal" in each else {**each, "Principal": "*"}
        for each in statements
    ]
    return parse_policy(document(*named, version=version), bucket=BUCKET)


def user_policy(*statements: dict[str, Any]) -> Policy:
    return parse_policy(document(*statements))


def ask(
    policy: Policy,
    action: str,
    path: str = "",
    sender: Principal | None = ALICE,
    context: dict[str, str | list[str]] | None = None,
) -> str:
    """Allow, Deny or none.

    Args:
        path: what follows the bucket's ARN, such as `/key`; or an ARN.
        context: by the keys as AWS writes them.
    """
    values = {
        key if "/" in key else key.lower(): tuple([value] if isinstance(value, str) else value)
        for key, value in (context or {}).items()
    }
    if sender is not None:
        values.setdefault("aws:username", (sender.user_name,))
        values.setdefault("aws:userid", (sender.user_id,))
    resource = path if path.startswith("arn:") else ARN + path
    request = PolicyRequest(action, resource, sender, lambda key: values.get(key, ()))
    return evaluate([policy], request).value
