import pytest

from s3proxy.placement import choose_backend, container_name, is_container_of
from s3proxy.s3.names import check_bucket_name
from tests.s3.heads import raises_s3

BACKENDS = {"disk": object(), "fast": object()}


@pytest.mark.parametrize(
    ("location", "default", "chosen"),
    [
        ("", "", "disk"),
        ("", "fast", "fast"),
        ("eu-north-1", "", "disk"),
        ("eu-north-1", "fast", "fast"),
        ("fast", "", "fast"),
        ("disk", "fast", "disk"),
    ],
)
def test_choose_backend_location_names_a_backend_or_the_region(
    location: str, default: str, chosen: str
) -> None:
    assert choose_backend(BACKENDS, location, default, region="eu-north-1") == chosen


@pytest.mark.parametrize("location", ["us-east-1", "nowhere", "DISK"])
def test_choose_backend_unknown_location_is_refused(location: str) -> None:
    with raises_s3("InvalidLocationConstraint") as refused:
        choose_backend(BACKENDS, location, region="eu-north-1")
    assert refused.value.fields == {"LocationConstraint": location}


def test_container_name_depends_on_every_argument_and_nothing_else() -> None:
    base = (1, "main", "bucket", 0, "disk")
    name = container_name(*base)
    assert name == container_name(*base)
    others = [
        (2, "main", "bucket", 0, "disk"),
        (1, "other", "bucket", 0, "disk"),
        (1, "main", "bucket2", 0, "disk"),
        (1, "main", "bucket", 1, "disk"),
        (1, "main", "bucket", 0, "fast"),
    ]
    assert len({name, *(container_name(*other) for other in others)}) == 6
    prefix, digest, backend = name.split("-")
    assert (prefix, len(digest), backend) == ("s3gw", 16, "disk")
    assert int(digest, 16) >= 0


@pytest.mark.parametrize("backend", ["disk", "My Backend_1", "x" * 80, "a-"])
def test_container_name_is_a_bucket_name(backend: str) -> None:
    check_bucket_name(container_name(7, "main", "bucket", 0, backend))


@pytest.mark.parametrize("backend", ["fi", "my_backend.1", "B" * 60, "a-s3alias"])
def test_is_container_of_knows_the_names_of_a_backend_from_those_of_others(backend: str) -> None:
    name = container_name(7, "main", "bucket", 3, backend)
    assert is_container_of(name, backend)
    assert not is_container_of(name, "other")
    assert not is_container_of("s3gw-a", backend)
