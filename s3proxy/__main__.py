"""`python -m s3proxy` is the s3proxy command."""

from s3proxy.cli import main

main(prog_name="s3proxy")
