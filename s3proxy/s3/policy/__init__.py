"""AWS policy documents: read once into closures and sets, then evaluated without a lookup.

Source: IAM User Guide, "IAM JSON policy element reference" and "Policy evaluation logic"; Amazon S3
User Guide, "Bucket policies"; Service Authorization Reference, "Amazon S3".
"""

from s3proxy.s3.policy.actions import ACTIONS
from s3proxy.s3.policy.documents import (
    POLICY_BODY_BYTES_MAX,
    POLICY_BYTES_MAX,
    Policy,
    parse_policy,
)
from s3proxy.s3.policy.evaluation import Decision, evaluate
from s3proxy.s3.policy.keys import ABSENT_KEYS, CONDITION_KEYS, TAG_KEY_PREFIXES
from s3proxy.s3.policy.public import is_public
from s3proxy.s3.policy.request import PolicyRequest, Principal

__all__ = [
    "ABSENT_KEYS",
    "ACTIONS",
    "CONDITION_KEYS",
    "POLICY_BODY_BYTES_MAX",
    "POLICY_BYTES_MAX",
    "TAG_KEY_PREFIXES",
    "Decision",
    "Policy",
    "PolicyRequest",
    "Principal",
    "evaluate",
    "is_public",
    "parse_policy",
]
