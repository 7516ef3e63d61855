"""Published documents, parsed: those that were read last are kept."""

from functools import lru_cache

from kemi.presence import pidf

KEPT = 512
"""Documents that are kept."""

LARGEST_KEPT = 8192
"""Octets of a document that is kept; a larger one is parsed each time."""


def parse(body: bytes, content_type: str) -> pidf.PidfDocument:
    """Read a published document (`pidf.parse`); raises what that raises."""
    return _kept(body, content_type) if len(body) <= LARGEST_KEPT else pidf.parse(body, content_type)


@lru_cache(maxsize=KEPT)
def _kept(body: bytes, content_type: str) -> pidf.PidfDocument:
    """Kept by content, so it cannot be stale: the same bytes are the same document."""
    return pidf.parse(body, content_type)
