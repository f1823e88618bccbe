"""Configuration: precedence, and refusals that name file, key, found and allowed."""

from pathlib import Path

import pytest

from s3proxy.config import (
    LocalBackendConfig,
    S3BackendConfig,
    SqsTargetConfig,
    WebhookTargetConfig,
    names_in,
)
from s3proxy.config_loading import ConfigError, load, show, to_toml
from s3proxy.config_rules import target_arn

CONTRACT = """
[server]
listen = "127.0.0.1:9000"
region = "us-east-1"
domain = ""
tls_cert = ""
tls_key = ""
[control]
listen = "127.0.0.1:8080"
[data]
dir = "./data"
[[backend]]
name = "disk"
type = "local"
root = "./data/blobs"
[[backend]]
name = "fast"
type = "s3"
endpoint = "http://127.0.0.1:18080"
region = "us-east-1"
access_key = "a"
secret_key = "s3cret"
addressing = "path"
[[bucket]]
name = "www"
backend = "fast"
target = "www"
"""


def write(folder: Path, text: str) -> str:
    path = folder / "gateway.toml"
    path.write_text(text, "utf-8")
    return str(path)


REGION = "[[region]]\nname = 'north'\nendpoint = 'http://north:9000'\n"


def refusal(folder: Path, text: str, environ: dict[str, str] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load(write(folder, text), environ or {})
    return caught.value


def test_load_documented_shape_is_accepted(tmp_path: Path) -> None:
    config = load(write(tmp_path, CONTRACT), {})
    disk, fast = config.backends()
    assert isinstance(disk, LocalBackendConfig)
    assert disk.root == "./data/blobs"
    assert isinstance(fast, S3BackendConfig)
    assert fast.secret_key == "s3cret"
    assert config.bucket[0].target == "www"


def test_load_without_file_has_one_local_backend() -> None:
    config = load(None, {})
    (disk,) = config.backends()
    assert (disk.name, disk.root) == ("disk", "./data/blobs")


def test_environment_wins_over_file(tmp_path: Path) -> None:
    environ = {
        "S3PROXY_SERVER__LISTEN": "127.0.0.1:9123",
        "S3PROXY_SERVER__GRACE_S": "2.5",
        "S3PROXY_BACKEND__FAST__VERIFIES_PAYLOAD": "true",
        "S3PROXY_ROOT_ACCESS_KEY": "not configuration",
    }
    config = load(write(tmp_path, CONTRACT), environ)
    assert config.server.listen == "127.0.0.1:9123"
    assert config.server.grace_s == 2.5
    assert config.backend[1].verifies_payload is True


ARN = "arn:aws:sqs:eu-north-1:123456789012:orders"
TARGET = "[[event_target]]\nname='hook'\n"
QUEUE = f"{TARGET}type='sqs'\narn='{ARN}"


@pytest.mark.parametrize(
    ("text", "key", "found", "allowed"),
    [
        ("[servr]\n", "servr", "unknown section", "did you mean server"),
        ("[server]\nlisen = 'x:1'\n", "server.lisen", "unknown key", "did you mean listen"),
        ("[server]\nlisten = 9000\n", "server.listen", "9000 (int)", "str"),
        ("[server]\nlisten = '9000'\n", "server.listen", "'9000'", "host:port"),
        ("[server]\nlisten = 'h:70000'\n", "server.listen", "70000", "host:port"),
        ("[server]\ngrace_s = -1\n", "server.grace_s", "-1", ">= 0"),
        ("[server]\ntls_cert = 'c.pem'\n", "server.tls_cert", "without", "together"),
        ("[[backend]]\nname = 'x'\ntype = 'ftp'\n", "backend.x.type", "'ftp'", '"local" or "s3"'),
        ("[[backend]]\nname = 'x'\n", "backend.x.type", "nothing", '"local" or "s3"'),
        ("[[backend]]\nname = 'x'\ntype = 'local'\n", "backend.x.root", "nothing", "required"),
        (
            "[[backend]]\nname = 'x'\ntype = 'local'\nroot = 'r'\ndurability = 'maybe'\n",
            "backend.x.durability",
            "'maybe'",
            '"fsync" or "none"',
        ),
        ("[log]\nlevel = 'trace'\n", "log.level", "'trace'", '"debug" or "info"'),
        ("[server]\nbacklog = 99999999999\n", "server.backlog", "99999999999", "int <= 2147483647"),
        ("[server]\ngrace_s = inf\n", "server.grace_s", "inf", "float <= 1000000000.0"),
        ("[server]\nregion = ''\n", "server.region", "''", "a-z"),
        ("[server]\nregion = 'a b'\n", "server.region", "'a b'", "a-z"),
        ("[server]\ndomain = '.'\n", "server.domain", "'.'", "a host name"),
        ("[data]\ndir = ''\n", "data.dir", "''", "a directory"),
        ('[data]\ndir = "a\\u0000"\n', "data.dir", "'a\\x00'", "without control"),
        ("[data]\nmap_size_bytes = 9999999999999999\n", "data.map_size_bytes", "9999", "int <= "),
        ("[[backend]]\nname = 'x'\ntype = ['local']\n", "backend.x.type", "['local']", '"local"'),
        ("[[backend]]\nname='x'\ntype='local'\nroot=''\n", "backend.x.root", "''", "a directory"),
        ("[[bucket]]\nname = 'a/b'\nbackend = 'disk'\n", "bucket.name", "'a/b'", "3 to 255"),
        ("[[backend]]\nname = 'X!'\ntype = 'local'\nroot = 'r'\n", "backend.name", "'X!'", "a-z"),
        ("[[bucket]]\nname = 'www'\nbackend = 'gone'\n", "bucket.www.backend", "'gone'", "disk"),
        ("[[bucket]]\nname = 'www'\nregion = 'x'\n", "bucket.www.region", "'x'", "[[region]]"),
        (
            f"{REGION}[[bucket]]\nname='www'\nregion='north'\ntarget='x'\n",
            "bucket.www.target",
            "'x'",
            "nothing beside a region",
        ),
        (f"{REGION}mode = 'forward'\n", "access_key", "nothing", "access_key_file"),
        (f"{REGION}secret_key = 's3cret'\n", "region.north.secret_key", "a key", "forward"),
        (f"{REGION}mode = 'proxy'\n", "region.north.mode", "'proxy'", '"redirect" or "forward"'),
        (
            "[[region]]\nname='us-east-1'\nendpoint='http://h'\n",
            "region.name",
            "us-east-1",
            "other",
        ),
        ("[[region]]\nname='disk'\nendpoint='http://h'\n", "region.name", "'disk'", "other"),
        ("[[region]]\nname='x'\nendpoint='h'\n", "region.x.endpoint", "'h'", "http://host"),
        ("backend = 3\n", "backend", "3 (int)", "[[backend]]"),
        (f"{TARGET}type='fax'\n", "event_target.hook.type", "'fax'", '"webhook" or "sqs" or "sns"'),
        (f"{TARGET}type='webhook'\n", "event_target.hook.url", "nothing", "required"),
        (f"{TARGET}type='webhook'\nurl='ftp://h'\n", "event_target.hook.url", "'ftp://h'", "http"),
        (f"{TARGET}type='webhook'\nurl='http://u@h'\n", "event_target.hook.url", "u@h", "no user"),
        (
            f"{TARGET}type='webhook'\nurl='http://日本'\n",
            "event_target.hook.url",
            "http",
            "no user",
        ),
        (f"{TARGET}type='webhook'\nurl='http://:80'\n", "event_target.hook.url", ":80", "no user"),
        (f"{TARGET}type='webhook'\nurl='http://h/#a'\n", "event_target.hook.url", "#a", "no frag"),
        (f"{TARGET}type='webhook'\nurl='http://h'\n", "secret", "nothing", "secret_file"),
        (f"{QUEUE}.fifo'\nqueue_url='http://h'\n", "event_target.hook.arn", ".fifo", "standard"),
        (f"{QUEUE}'\nqueue_url='h'\n", "event_target.hook.queue_url", "'h'", "https://"),
        (f"{QUEUE}'\nqueue_url='http://h'\n", "access_key", "nothing", "access_key_file"),
        (
            f"{TARGET}type='sns'\narn='{ARN}'\nendpoint='http://h'\n",
            "event_target.hook.arn",
            "",
            "",
        ),
        ("[limits]\nbytes_burst = 5\n", "limits.bytes_burst", "5.0", "limits.bytes_per_s"),
        ("[limits]\nrequests_per_s = -1\n", "limits.requests_per_s", "-1", ">= 0"),
        ("server = 3\n", "server", "3 (int)", "[server]"),
        ("[server\n", "file", "", "TOML"),
    ],
)
def test_load_wrong_input_is_refused_precisely(
    tmp_path: Path, text: str, key: str, found: str, allowed: str
) -> None:
    error = refusal(tmp_path, text)
    assert str(tmp_path) in error.origin
    assert error.key == key
    assert found in error.found
    assert allowed in error.allowed


@pytest.mark.parametrize(
    ("endpoint", "ok"),
    [
        ("http://127.0.0.1:18080", True),
        ("https://s3.example.com/", True),
        ("s3.example.com", False),
        ("http://user@host", False),
        ("http://host/path", False),
        ("http://host:70000", False),
        ("http://host:x", False),
        ("http://host:0", False),
    ],
)
def test_endpoint_is_an_origin(tmp_path: Path, endpoint: str, ok: bool) -> None:
    text = CONTRACT.replace("http://127.0.0.1:18080", endpoint)
    if ok:
        backend = load(write(tmp_path, text), {}).backend[1]
        assert isinstance(backend, S3BackendConfig)
        assert backend.endpoint == endpoint
    else:
        assert refusal(tmp_path, text).key == "backend.fast.endpoint"


def test_same_name_twice_is_refused(tmp_path: Path) -> None:
    text = "[[backend]]\nname='a'\ntype='local'\nroot='r'\n" * 2
    assert "twice" in refusal(tmp_path, text).found


def test_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(str(tmp_path / "absent.toml"), {})


@pytest.mark.parametrize(
    "variable", ["S3PROXY_SERVERLISTEN", "S3PROXY_NOPE__X", "S3PROXY_BACKEND__SLOW__ROOT"]
)
def test_unknown_variable_is_refused(tmp_path: Path, variable: str) -> None:
    with pytest.raises(ConfigError):
        load(write(tmp_path, CONTRACT), {variable: "x"})


def test_wrong_environment_value_names_the_variable(tmp_path: Path) -> None:
    error = refusal(tmp_path, CONTRACT, {"S3PROXY_SERVER__BACKLOG": "many"})
    assert error.origin == "S3PROXY_SERVER__BACKLOG"
    assert "'many'" in error.found


def test_secret_from_file_and_environment(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("from-file\n")
    text = CONTRACT.replace('secret_key = "s3cret"', f'secret_key_file = "{tmp_path}/secret"')
    text = text.replace('access_key = "a"', 'access_key_env = "PROVIDER_KEY"')
    config = load(write(tmp_path, text), {"PROVIDER_KEY": "from-env"})
    fast = config.backend[1]
    assert isinstance(fast, S3BackendConfig)
    assert (fast.access_key, fast.secret_key) == ("from-env", "from-file")


def test_secret_given_twice_or_never_is_refused(tmp_path: Path) -> None:
    twice = CONTRACT.replace('secret_key = "s3cret"', 'secret_key = "x"\nsecret_key_env = "Y"')
    assert refusal(tmp_path, twice).found == "secret_key and secret_key_env"
    never = CONTRACT.replace('secret_key = "s3cret"', "")
    assert refusal(tmp_path, never).found == "nothing"
    unset = CONTRACT.replace('secret_key = "s3cret"', 'secret_key_env = "UNSET_NAME"')
    assert "unset" in refusal(tmp_path, unset).found


@pytest.mark.parametrize(
    ("secret", "found"), [("", "nothing in it"), ("a\nb", "other characters"), ("ä", "other")]
)
def test_secret_that_no_header_can_carry_is_refused_untold(
    tmp_path: Path, secret: str, found: str
) -> None:
    (tmp_path / "secret").write_text(secret, "utf-8")
    text = CONTRACT.replace('secret_key = "s3cret"', f'secret_key_file = "{tmp_path}/secret"')
    error = refusal(tmp_path, text)
    assert error.key == "secret_key_file"
    assert found in error.found
    assert not secret or secret not in str(error)


def test_show_masks_secrets_and_is_toml(tmp_path: Path) -> None:
    config = load(write(tmp_path, CONTRACT), {})
    text = to_toml(show(config))
    assert "s3cret" not in text
    assert load(write(tmp_path, text), {}).server == config.server


def test_secret_is_not_in_its_own_refusal(tmp_path: Path) -> None:
    text = CONTRACT.replace('secret_key = "s3cret"', "secret_key = 12345")
    assert "12345" not in str(refusal(tmp_path, text))


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("S3PROXY_SERVER__LISTEN", "9000", "server.listen"),
        ("S3PROXY_BACKEND__FAST__ENDPOINT", "s3.example.com", "backend.fast.endpoint"),
        ("S3PROXY_BUCKET__WWW__BACKEND", "gone", "bucket.www.backend"),
    ],
)
def test_rule_broken_by_a_variable_names_the_variable(
    tmp_path: Path, variable: str, value: str, key: str
) -> None:
    error = refusal(tmp_path, CONTRACT, {variable: value})
    assert (error.origin, error.key) == (variable, key)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('""', ()),
        ('"s3.example"', ("s3.example",)),
        ('"a.example, b.example"', ("a.example", "b.example")),
        ('["a.example", "b.example"]', ("a.example", "b.example")),
    ],
)
def test_load_domains_may_be_one_or_several(
    tmp_path: Path, text: str, names: tuple[str, ...]
) -> None:
    config = load(write(tmp_path, f"[server]\ndomain = {text}\n"), {})
    assert names_in(config.server.domain) == names


def test_load_of_a_domain_for_both_api_and_websites_is_refused(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[server]\ndomain = "a.b"\nwebsite_domain = "A.b"\n')
    assert error.key == "server.website_domain"


def test_load_of_several_domains_checks_each(tmp_path: Path) -> None:
    error = refusal(tmp_path, '[server]\ndomain = ["a.example", "b:80"]\n')
    assert (error.key, error.found) == ("server.domain", "'b:80'")


@pytest.mark.parametrize(
    ("entries", "key"),
    [
        ('[[storage_class]]\nname = "MOON"\nbackend = "disk"', "storage_class.name"),
        ('[[storage_class]]\nname = "STANDARD"\nbackend = "disk"', "storage_class.name"),
        (
            '[[storage_class]]\nname = "GLACIER_IR"\nbackend = "cold"',
            "storage_class.glacier_ir.backend",
        ),
        (
            '[[storage_class]]\nname = "GLACIER"\nbackend = "disk"\n' * 2,
            "storage_class.name",
        ),
    ],
)
def test_load_storage_class_without_sense_is_refused(
    tmp_path: Path, entries: str, key: str
) -> None:
    assert refusal(tmp_path, f"{CONTRACT}{entries}").key == key


def test_load_storage_classes_name_their_backends(tmp_path: Path) -> None:
    entry = '[[storage_class]]\nname = "GLACIER_IR"\nbackend = "fast"\n'
    (found,) = load(write(tmp_path, CONTRACT + entry), {}).storage_class
    assert (found.name, found.backend) == ("GLACIER_IR", "fast")


def test_load_event_targets_have_arns_regions_and_masked_secrets(tmp_path: Path) -> None:
    text = (
        "[[event_target]]\nname='hook'\ntype='webhook'\nurl='https://h/x?y=z'\nsecret='hush'\n"
        f"[[event_target]]\nname='orders'\ntype='sqs'\narn='{ARN}'\nqueue_url='http://h/1/orders'\n"
        "access_key='AK'\nsecret_key_env='ORDERS_SECRET'\n"
    )
    environ = {"ORDERS_SECRET": "sesame", "S3PROXY_EVENT_TARGET__HOOK__URL": "http://other/"}
    config = load(write(tmp_path, text), environ)
    hook, orders = config.event_target
    assert isinstance(hook, WebhookTargetConfig)
    assert isinstance(orders, SqsTargetConfig)
    assert (hook.url, hook.secret) == ("http://other/", "hush")
    assert orders.secret_key == "sesame"
    assert [target_arn(target) for target in (hook, orders)] == ["arn:s3proxy:webhook:::hook", ARN]
    shown = show(config)["event_target"]
    assert (shown[0]["secret"], shown[1]["secret_key"]) == ("****", "****")
    assert "hush" not in to_toml(show(config))
    assert list(shown[1])[:6] == ["type", "name", "arn", "queue_url", "region", "access_key"]


def test_load_event_targets_of_one_arn_are_refused(tmp_path: Path) -> None:
    text = f"{QUEUE}'\nqueue_url='http://h'\naccess_key='a'\nsecret_key='b'\n"
    error = refusal(tmp_path, text + text.replace("'hook'", "'other'"))
    assert (error.key, error.allowed) == ("event_target.arn", "each name once")


@pytest.mark.parametrize("text", ['"10.0.0.1/8"', '["::1", "nonsense"]'])
def test_load_of_proxies_that_are_no_networks_is_refused(tmp_path: Path, text: str) -> None:
    error = refusal(tmp_path, f"[server]\ntrusted_proxies = {text}\n")
    assert error.key == "server.trusted_proxies"


def test_load_of_the_proxy_protocol_wants_to_know_whose(tmp_path: Path) -> None:
    assert refusal(tmp_path, "[server]\nproxy_protocol = true\n").key == "server.proxy_protocol"
