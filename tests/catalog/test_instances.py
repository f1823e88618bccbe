import subprocess
import sys
from pathlib import Path

from s3proxy.catalog.instances import GatewayInstance

HOLD = """
import sys
from s3proxy.catalog.instances import GatewayInstance
instance = GatewayInstance(sys.argv[1])
print(instance.id, flush=True)
sys.stdin.read()
"""


def test_is_live_follows_the_process(tmp_path: Path) -> None:
    here = GatewayInstance(tmp_path)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        other = process.stdout.readline().strip()
        assert here.is_live(other)
        process.kill()
    assert not here.is_live(other)
    assert not here.is_live(other)
    assert here.is_live(here.id)
    here.close()
    here.close()


def test_is_live_closed_in_this_process_is_false(tmp_path: Path) -> None:
    first, second = GatewayInstance(tmp_path), GatewayInstance(tmp_path)
    assert second.is_live(first.id)
    first.close()
    assert not second.is_live(first.id)
    second.close()
    assert list((tmp_path / "gateways").iterdir()) == []
