"""The s3proxy command: commands parse, then call.

What they print is for people; `--json` is for programs.
"""

from s3proxy.cli.main import main

__all__ = ["main"]
