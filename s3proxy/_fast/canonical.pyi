"""The canonical request of Signature Version 4, for the compiled modules (see the `.pxd`)."""
