"""xcap-caps/global/index: what this server can do (RFC 4825 section 12)."""

from functools import lru_cache

from kemi.xcap.errors import escaped
from kemi.xcap.usages import CAPABILITIES, SCHEMAS, USAGES
from kemi.xcap.validation import names


@lru_cache(maxsize=1)
def document() -> bytes:
    """Application usages and namespaces; no extensions are known. It changes with the program only."""
    auids = "".join(f"<auid>{escaped(auid)}</auid>" for auid in USAGES)
    namespaces = "".join(f"<namespace>{escaped(each)}</namespace>" for each in names(SCHEMAS).namespaces)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<xcap-caps xmlns="{CAPABILITIES}"><auids>{auids}</auids>'
        f"<extensions/><namespaces>{namespaces}</namespaces></xcap-caps>\n"
    ).encode()
