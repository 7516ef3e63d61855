"""Published documents, parsed: those that were read last are kept."""

from functools import lru_cache

from kemi.presence import pidf

MAX_KEPT = 8192
"""Octets of a document that is worth keeping when parsed."""


def parse(body: bytes, content_type: str) -> pidf.PidfDocument:
    """Read a published document (`pidf.parse`); raises what that raises."""
    return _kept(body, content_type) if len(body) <= MAX_KEPT else pidf.parse(body, content_type)


@lru_cache(maxsize=512)
def _kept(body: bytes, content_type: str) -> pidf.PidfDocument:
    """Kept by content, so it cannot be stale: the same bytes are the same document."""
    return pidf.parse(body, content_type)
