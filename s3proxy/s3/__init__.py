"""The S3 protocol as pure functions: routing, authentication, errors, XML. No I/O."""
