"""What this server says it can do (RFC 4825 section 12)."""

import pytest

from kemi.xcap import caps, validation
from kemi.xcap.usages import USAGES

CAPS = "{urn:ietf:params:xml:ns:xcap-caps}"


def listed(name: str) -> list[str | None]:
    return [each.text for each in validation.read(USAGES["xcap-caps"], caps.document()).iter(f"{CAPS}{name}")]


@pytest.mark.rfc("XCS-044")
def test_it_is_valid_and_lists_application_usages_namespaces_and_extensions() -> None:
    assert listed("auid") == list(USAGES)
    assert {"xcap-caps", "resource-lists", "rls-services", "org.openmobilealliance.pres-rules", "im-rules"} <= set(listed("auid"))
    assert "urn:ietf:params:xml:ns:xcap-caps" in listed("namespace")
    assert (len(listed("extensions")), listed("extension")) == (1, [])


@pytest.mark.rfc("XCS-045")
def test_the_namespaces_of_permissions_are_announced() -> None:
    names = ("ietf:params:xml:ns:common-policy", "ietf:params:xml:ns:pres-rules", "oma:xml:prs:pres-rules", "iptel:xml:ns:im-rules")
    assert {f"urn:{name}" for name in names} <= set(listed("namespace"))
