"""Which list a URI stands for: services of an rls-services document, and SER's implicit ones (pure; RFC 4826 sections 4 and 4.5).

A service is found by its canonical URI (`kemi.xcap.constraints.service_uri`), never by a part of it. SER's implicit service has no
document: a user's own list is at `<user>-list` in the user's domain (SER handbook section 6.4).
"""

from collections.abc import Iterable
from typing import NamedTuple

from kemi.errors import BadEvent
from kemi.rls import resource_list
from kemi.xcap import tree
from kemi.xcap.constraints import RLS_SERVICES, service_uri
from kemi.xcap.tree import Document, Element


class ServiceDefinition(NamedTuple):
    """One service.

    Args:
        uri: canonical, with the scheme sip.
        packages: event packages that it is for; None: all (RFC 4826 section 4.5).
        link: URI of its list, "" where it has the list itself.
        element: the list in it.
    """

    uri: str
    packages: frozenset[str] | None = None
    link: str = ""
    element: Element | None = None

    def require_package(self, package: str, served: Iterable[str]) -> None:
        """See that the service is for an event package.

        Args:
            package: its name.
            served: names of those that the server has.

        Raises:
            BadEvent: 489, with those of them that the service is for; with all where it is for none.
        """
        if self.packages is not None and package not in self.packages:
            allowed = [each for each in served if each in self.packages]
            raise BadEvent(allowed or served, "the list is not for this event package")


def find(document: Document, text: str) -> ServiceDefinition | None:
    """The service with this URI.

    Args:
        document: an rls-services document.
        text: any form of the URI, as a Request-URI.
    """
    wanted = service_uri(text)
    services = _children(document.root, "service") if wanted else []
    found = (each for each in services if service_uri(each.attributes.get("uri", "")) == wanted)
    return next((_read(document, each, wanted) for each in found), None)


def uris(document: Document) -> set[str]:
    """The canonical URIs of all services of an rls-services document."""
    return {service_uri(each.attributes.get("uri", "")) for each in _children(document.root, "service")}


def _read(document: Document, element: Element, canonical: str) -> ServiceDefinition:
    packages = _children(element, "packages")
    names = (document.text_of(each) for part in packages for each in _children(part, "package"))
    link = next((document.text_of(each) for each in _children(element, "resource-list")), "")
    own = next(iter(_children(element, "list")), None)
    return ServiceDefinition(canonical, frozenset(names) if packages else None, link, own)


def _children(element: Element, name: str) -> list[Element]:
    """Those with this name, of rls-services or, as SER has them, of no namespace."""
    names = (tree.expanded(RLS_SERVICES, name), name)
    return [each for each in element.children if each.name in names]


def list_named(document: Document, name: str) -> Element | None:
    """A top-level list of a resource-lists document; the root, which is all lists together, for ""."""
    lists = (each for each in document.root.children if resource_list.kind_of(each) == resource_list.LIST)
    return next((each for each in lists if each.attributes.get("name") == name), None) if name else document.root


def is_implicit(template: str, subscriber: str, target: str) -> bool:
    """Whether a URI is the implicit list of who subscribes (`is_simple_rls_target`).

    Args:
        template: user part of such URIs, with $uid in the place of the user, as `$uid-list`.
        subscriber: canonical URI.
        target: canonical URI.
    """
    user, _, domain = _address(subscriber).rpartition("@")
    listed, _, served = _address(target).rpartition("@")
    return bool(listed and user) and served == domain and listed.lower() == template.replace("$uid", user).lower()


def _address(canonical: str) -> str:
    return canonical.partition(":")[2]
