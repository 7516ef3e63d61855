"""The services of all rls-services documents: their URIs, which are unique, and their union (RFC 4826 sections 4.4.5 and 4.4.7).

The table xcap_service follows the documents in the transaction that changes them. `rls-services/global/index` is made when it is
asked for, of the documents called index.
"""

import re
from collections.abc import Mapping

from lxml import etree

from kemi.database import Database
from kemi.xcap.constraints import RLS_SERVICES, SERVICE, field_of, service_uri
from kemi.xcap.errors import Exists, UniquenessFailure
from kemi.xcap.path import DocumentSelector

ALTERNATIVES = 3
"""URIs proposed for one that is taken."""

_TRIED = 20
"""URIs looked at to find them."""

_URI = re.compile(r"sip:([^@]*)@(.*)")


def record(database: Database, selector: DocumentSelector, root: etree._Element | None) -> None:
    """Note the services of a document that is about to be stored, or removed (None).

    Raises:
        UniquenessFailure: 409, another document has one of them, or a user has this URI.
    """
    where = {"xui": selector.xui, "name": selector.name}
    database.execute("xcap_service_remove", where)
    services = {} if root is None else {service_uri(each.get("uri", "")): each for each in root.iterchildren(SERVICE)}
    if not services:
        return
    rows = [_row(uri) for uri in services]
    taken = {uri for (uri,) in database.execute("xcap_service_taken", {}, rows).rows()}
    created = {uri for (uri,) in database.execute("xcap_service_create", where, [(uri,) for uri in services]).rows()}
    taken |= services.keys() - created
    if taken:
        exists = [Exists(field_of(each, "uri"), _free(database, uri)) for uri, each in services.items() if uri in taken]
        raise UniquenessFailure(exists, "the uri of a service is used already")


def _row(uri: str) -> tuple[str, str, str]:
    found = _URI.fullmatch(uri)
    assert found is not None, "service_uri says only such"
    return uri, found[1], found[2]


def _free(database: Database, uri: str) -> tuple[str, ...]:
    """URIs like this one that nobody has."""
    user, domain = _row(uri)[1:]
    rows = [_row(f"sip:{user}-{number}@{domain}") for number in range(1, _TRIED + 1)]
    used = {each for (each,) in database.execute("xcap_service_taken", {}, rows).rows()}
    used |= {each for (each,) in database.execute("xcap_service_known", {}, [(row[0],) for row in rows]).rows()}
    return tuple(row[0] for row in rows if row[0] not in used)[:ALTERNATIVES]


def union(database: Database) -> bytes:
    """The services of all users' documents called index, as one document."""
    together = etree.Element(f"{{{RLS_SERVICES}}}rls-services", nsmap=_DEFAULT)
    for (body,) in database.execute("xcap_service_documents").rows():
        together.extend(etree.fromstring(bytes(body), _parser()).iterchildren(SERVICE))
    for service in together:
        service.tail = "\n"
    octets: bytes = etree.tostring(together, xml_declaration=True, encoding="UTF-8")
    return octets


_DEFAULT: Mapping[None, str] = {None: RLS_SERVICES}


def _parser() -> etree.XMLParser:
    return etree.XMLParser(encoding="utf-8", resolve_entities=False, load_dtd=False, no_network=True, collect_ids=False)
