"""What a page of a listing is, the simplest way: stores are compared with it."""

from __future__ import annotations

from s3proxy.s3.listing import ListedObject, ListPage, common_prefix


class PageBuilder:
    """Builds a page from objects offered in key order.

    Args:
        prefix: of the keys; those offered must have it.
        delimiter: "" for no grouping.
        after: keys up to this one, or covered by it when it is a common prefix, are passed over.
        limit: entries of the page.
    """

    def __init__(self, *, prefix: str, delimiter: str, after: str, limit: int) -> None:
        self._prefix = prefix
        self._delimiter = delimiter
        self._after = after
        # A page may have ended with a common prefix: what it covers was on that page.
        self._covered = after if common_prefix(after, prefix, delimiter) == after else ""
        self._limit = limit
        self._objects: list[ListedObject] = []
        self._prefixes: list[str] = []
        self._last = ""
        self.full = limit <= 0

    def wants(self, key: str) -> bool:
        """Whether the key would make a new entry, or show that the page is cut short."""
        if key <= self._after or (self._covered and key.startswith(self._covered)):
            return False
        return not (self._prefixes and key.startswith(self._prefixes[-1]))

    def offer(self, entry: ListedObject) -> None:
        """Take the next object in order; once `full`, nothing more is taken."""
        if self.full or not self.wants(entry.key):
            return
        if len(self._objects) + len(self._prefixes) == self._limit:
            self.full = True
            return
        group = common_prefix(entry.key, self._prefix, self._delimiter)
        if group:
            self._prefixes.append(group)
            self._last = group
        else:
            self._objects.append(entry)
            self._last = entry.key

    def page(self) -> ListPage:
        """The page; truncated when an object was offered that had no room."""
        truncated = self.full and self._limit > 0
        return ListPage(self._objects, self._prefixes, truncated, self._last if truncated else "")
