"""Fixtures of this folder."""

from tests.wire.validity import valid_documents

__all__ = ["valid_documents"]
