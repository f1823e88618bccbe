import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3proxy.s3.errors import S3Error
from s3proxy.s3.notification import (
    RULES_MAX,
    Notification,
    Rule,
    notification,
    read_notification,
)
from tests.s3.documents import parse as as_botocore_reads
from tests.s3.heads import raises_s3

QUEUE = "arn:aws:sqs:us-west-2:444455556666:s3notificationqueue"
TOPIC = "arn:aws:sns:us-west-2:444455556666:s3notificationtopic2"
NAMES = [
    *(f"ObjectCreated:{what}" for what in ("Put", "Post", "Copy", "CompleteMultipartUpload")),
    *("ObjectRemoved:Delete", "ObjectRemoved:DeleteMarkerCreated", "ObjectTagging:Put"),
]
EVENTS = [
    *(f"s3:{name}" for name in NAMES),
    *("s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*"),
]
WORDS = st.text("ab", max_size=3)
RULES = st.builds(
    Rule,
    kind=st.sampled_from(["QueueConfiguration", "TopicConfiguration"]),
    id=st.text("xyz", min_size=8, max_size=12),
    arn=st.sampled_from([QUEUE, TOPIC]),
    events=st.lists(st.sampled_from(EVENTS), min_size=1, max_size=3, unique=True).map(tuple),
    prefix=WORDS,
    suffix=WORDS,
)


def queue(*events: str, content: str = "", arn: str = QUEUE) -> str:
    named = "".join(f"<Event>{event}</Event>" for event in events)
    return f"<QueueConfiguration><Queue>{arn}</Queue>{named}{content}</QueueConfiguration>"


def filtered(**values: str) -> str:
    rules = "".join(
        f"<FilterRule><Name>{name}</Name><Value>{value}</Value></FilterRule>"
        for name, value in values.items()
    )
    return f"<Filter><S3Key>{rules}</S3Key></Filter>"


def body(*configurations: str) -> bytes:
    content = "".join(configurations)
    return f"<NotificationConfiguration>{content}</NotificationConfiguration>".encode()


def test_read_notification_of_queue_and_topic_keeps_every_element() -> None:
    topic = (
        f"<TopicConfiguration><Id>t</Id><Topic>{TOPIC}</Topic><Event>s3:ObjectRemoved:*</Event>"
        "</TopicConfiguration>"
    )
    first, second = read_notification(
        body(
            queue(
                "s3:ObjectCreated:Put",
                "s3:ObjectCreated:Copy",
                content="<Id>q 1</Id>" + filtered(Prefix="images/", suffix=".jpg"),
            ),
            topic,
        )
    )
    events = ("s3:ObjectCreated:Put", "s3:ObjectCreated:Copy")
    assert first == Rule("QueueConfiguration", "q 1", QUEUE, events, "images/", ".jpg")
    assert second == Rule("TopicConfiguration", "t", TOPIC, ("s3:ObjectRemoved:*",))


def test_read_notification_of_the_empty_document_is_no_rule() -> None:
    assert read_notification(body()) == []


def test_read_notification_without_an_id_makes_one() -> None:
    (rule,) = read_notification(body(queue("s3:ObjectAcl:Put")))
    (other,) = read_notification(body(queue("s3:ObjectAcl:Put")))
    assert len(rule.id) == 48
    assert rule.id != other.id


@pytest.mark.parametrize(
    "content",
    [
        "<Other/>",
        "<QueueConfiguration/>",
        f"<QueueConfiguration><Queue>{QUEUE}</Queue></QueueConfiguration>",
        "<QueueConfiguration><Event>s3:ObjectAcl:Put</Event></QueueConfiguration>",
        queue("s3:ObjectAcl:Put", content="<Topic>a</Topic>"),
        queue("s3:ObjectAcl:Put", content="<Filter><S3Key><Rule/></S3Key></Filter>"),
        queue("s3:ObjectAcl:Put", content="<Filter><Key/></Filter>"),
        queue("s3:ObjectAcl:Put", content=filtered() + filtered()),
        queue(
            "s3:ObjectAcl:Put",
            content="<Filter><S3Key><FilterRule><Name>prefix</Name></FilterRule></S3Key></Filter>",
        ),
    ],
)
def test_read_notification_of_another_shape_is_refused(content: str) -> None:
    with raises_s3("MalformedXML"):
        read_notification(body(content))


@pytest.mark.parametrize(
    ("content", "argument"),
    [
        (queue("s3:ObjectEaten:Put"), "Event"),
        (queue("ObjectCreated:Put"), "Event"),
        (queue("s3:ObjectAcl:*"), "Event"),
        (queue("s3:ObjectAcl:Put", arn="queue"), "ARN"),
        (queue("s3:ObjectAcl:Put", arn="arn:aws:sqs:us-east-1:1"), "ARN"),
        (queue("s3:ObjectAcl:Put", arn=""), "ARN"),
        (queue("s3:ObjectAcl:Put", content=f"<Id>{'i' * 256}</Id>"), "Id"),
        (queue("s3:ObjectAcl:Put", content=filtered(infix="a")), "FilterRule.Name"),
        (queue("s3:ObjectAcl:Put", content=filtered(prefix="a", Prefix="b")), "FilterRule.Name"),
        (queue("s3:ObjectAcl:Put", content=filtered(prefix="ä" * 513)), "FilterRule.Value"),
        (
            queue("s3:ObjectAcl:Put", content="<Id>a</Id>")
            + queue("s3:ObjectCreated:Put", content="<Id>a</Id>"),
            "Id",
        ),
        ("".join([queue("s3:ObjectAcl:Put")] * (RULES_MAX + 1)), "NotificationConfiguration"),
    ],
)
def test_read_notification_of_a_bad_value_names_the_argument(content: str, argument: str) -> None:
    with raises_s3("InvalidArgument") as caught:
        read_notification(body(content))
    assert caught.value.fields["ArgumentName"] == argument


@pytest.mark.parametrize("element", ["CloudFunctionConfiguration", "EventBridgeConfiguration"])
def test_read_notification_of_what_is_not_there_is_refused_by_name(element: str) -> None:
    with raises_s3("NotImplemented") as caught:
        read_notification(body(f"<{element}/>"))
    assert element in caught.value.message


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (queue("s3:ObjectCreated:*"), queue("s3:ObjectCreated:Put")),
        (queue("s3:ObjectCreated:Put"), queue("s3:ObjectCreated:Put")),
        (
            queue("s3:ObjectCreated:Put", content=filtered(prefix="im")),
            queue("s3:ObjectCreated:Put", content=filtered(prefix="images/")),
        ),
        (
            queue("s3:ObjectCreated:Put", content=filtered(prefix="im", suffix="pg")),
            queue("s3:ObjectCreated:Put", content=filtered(suffix=".jpg")),
        ),
    ],
)
def test_read_notification_of_overlapping_rules_is_refused(one: str, other: str) -> None:
    with raises_s3("InvalidArgument"):
        read_notification(body(one, other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (queue("s3:ObjectCreated:Put"), queue("s3:ObjectCreated:Copy")),
        (
            queue("s3:ObjectCreated:Put", content=filtered(prefix="a/")),
            queue("s3:ObjectCreated:Put", content=filtered(prefix="b/")),
        ),
        (
            queue("s3:ObjectCreated:Put", content=filtered(prefix="a/", suffix=".jpg")),
            queue("s3:ObjectCreated:Put", content=filtered(prefix="a/", suffix=".png")),
        ),
    ],
)
def test_read_notification_of_rules_apart_is_taken(one: str, other: str) -> None:
    assert len(read_notification(body(one, other))) == 2


@given(st.lists(RULES, max_size=4, unique_by=lambda rule: rule.id))
def test_notification_read_again_is_the_same(rules: list[Rule]) -> None:
    document = notification(rules)
    try:
        found = read_notification(document)
    except S3Error as error:
        assert error.code == "InvalidArgument"  # they overlap
        return
    assert sorted(found, key=lambda rule: rule.id) == sorted(rules, key=lambda rule: rule.id)
    parsed = as_botocore_reads("GetBucketNotificationConfiguration", document)
    queues = [rule for rule in rules if rule.kind == "QueueConfiguration"]
    assert [item["QueueArn"] for item in parsed.get("QueueConfigurations", [])] == [
        rule.arn for rule in queues
    ]


@given(st.lists(RULES, max_size=4), st.sampled_from(NAMES), st.text("ab", max_size=7))
def test_notification_finds_what_a_look_at_each_rule_finds(
    rules: list[Rule], name: str, key: str
) -> None:
    rules = [msgspec.structs.replace(rule, id=str(n)) for n, rule in enumerate(rules)]
    family = name.partition(":")[0]
    wanted = [
        rule
        for rule in rules
        if {f"s3:{name}", f"s3:{family}:*"} & set(rule.events)
        and key[: len(rule.prefix)] == rule.prefix
        and (not rule.suffix or key[-len(rule.suffix) :] == rule.suffix)
    ]
    assert Notification(rules).find(name, key) == (wanted[0] if wanted else None)
    if len(wanted) > 1:
        with raises_s3("InvalidArgument"):
            read_notification(notification(rules))
