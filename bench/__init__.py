"""Measures s3proxy beside its peers on loopback: `make bench`."""
