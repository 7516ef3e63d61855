"""What a watcher sees of a composed document: kemi/presence/privacy.py."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from kemi.event_package import Decision
from kemi.presence import pidf
from kemi.presence.composition import Offline, Source, compose
from kemi.presence.pidf import DATA_MODEL, PIDF, RPID
from kemi.presence.privacy import GEOPRIV, OMA, filtered, sphere_of
from kemi.xcap import pres_rules
from kemi.xcap.pres_rules import ALL, EVERYTHING, Member, Permissions, UserInput
from tests.unit.presence.composed import SCHEMA
from tests.unit.presence.test_composition_of_anything import CLIENTS, published
from tests.unit.xcap.rules import TRANSFORMATIONS, document, rule

ENTITY = "sip:alice@example.org"
NAMES = {"p": PIDF, "dm": DATA_MODEL, "r": RPID, "v": "urn:vendor", "o": OMA, "g": GEOPRIV}
SCOPE = (
    f'xmlns="{PIDF}" xmlns:dm="{DATA_MODEL}" xmlns:r="{RPID}" xmlns:v="urn:vendor" xmlns:o="{OMA}" xmlns:g="{GEOPRIV}" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
)
OFFLINE = compose(ENTITY, [], Offline.CLOSED).body
EMPTY = compose(ENTITY, [], Offline.EMPTY).body
COMPONENTS = Permissions(Decision.ALLOW, services=ALL, persons=ALL, devices=ALL)

EACH = "".join(
    f"<r:{name}>M-{name}</r:{name}>"
    for name in (
        "activities",
        "class",
        "mood",
        "place-is",
        "place-type",
        "privacy",
        "relationship",
        "sphere",
        "status-icon",
        "time-offset",
    )
)
OMAS = "".join(
    f"<o:{name}>M-{name}</o:{name}>"
    for name in ("barring-state", "network-availability", "registration-state", "session-participation", "willingness")
)
USER_INPUT = (
    '<r:user-input id="M-ui" idle-threshold="600" last-input="2027-01-15T08:00:00Z" since="M-since" v:x="M-x">idle'
    "<v:in>M-in</v:in></r:user-input>"
)
FOREIGN = "<v:foo>M-foo</v:foo><v:bar>M-bar</v:bar><g:geopriv>M-geopriv</g:geopriv>"
INSIDE = EACH + OMAS + USER_INPUT + FOREIGN
FULL = f"""<presence {SCOPE} entity="{ENTITY}">
<tuple id="t1"><status><basic>open</basic><v:foo>M-foo</v:foo><r:mood>M-mood</r:mood></status>{INSIDE}
<r:service-class>electronic</r:service-class><dm:deviceID>urn:uuid:M-device</dm:deviceID>
<contact priority="0.5">sip:alice@example.org;gr=1</contact><note xml:lang="en">M-note</note>
<timestamp>2027-01-15T08:00:00Z</timestamp></tuple>
<note>M-note of the whole</note>
<v:top>M-top</v:top>
<dm:person id="p1">{INSIDE}<dm:note>M-note</dm:note><dm:timestamp>2027-01-15T08:00:01Z</dm:timestamp></dm:person>
<dm:device id="d1">{INSIDE}<dm:deviceID>urn:uuid:d1</dm:deviceID><dm:note>M-note</dm:note>
<dm:timestamp>2027-01-15T08:00:02Z</dm:timestamp></dm:device>
</presence>"""


def composed(*bodies: str) -> bytes:
    sources = [Source(f"token-{n}", pidf.parse(body.encode(), pidf.MEDIA_TYPE), False) for n, body in enumerate(bodies)]
    return compose(ENTITY, sources, Offline.CLOSED).body


def presence(content: str) -> str:
    return f'<presence {SCOPE} entity="{ENTITY}">{content}</presence>'


def seen(permissions: Permissions, body: bytes | str = FULL, offline: bytes = OFFLINE) -> etree._Element:
    """The valid document that the watcher gets; filtering it again changes nothing."""
    once = filtered(composed(body) if isinstance(body, str) else body, permissions, offline)
    assert filtered(once, permissions, offline) == once
    root = etree.fromstring(once)
    SCHEMA.assertValid(root)
    return root


def texts(root: etree._Element) -> str:
    return etree.tostring(root, encoding="unicode")


def granting(**changes: object) -> Permissions:
    return Permissions(**{"services": ALL, "persons": ALL, "devices": ALL, **changes})  # type: ignore[arg-type]


def ids(root: etree._Element) -> list[str]:
    return [child.get("id") for child in root if child.get("id")]


# Components


@pytest.mark.rfc("AUTH-012")
def test_without_permission_for_a_kind_of_component_nothing_of_it_is_shown() -> None:
    assert ids(seen(Permissions(services=ALL, all_attributes=True))) == ["t1"]
    assert ids(seen(Permissions(persons=ALL, all_attributes=True))) == ["p1"]
    assert ids(seen(Permissions(devices=ALL, all_attributes=True))) == ["d1"]
    assert filtered(composed(FULL), Permissions(Decision.ALLOW, all_attributes=True), OFFLINE) == EMPTY


SETS = presence(
    '<tuple id="t1"><status/><r:class>Work</r:class><contact>sip:%61lice@EXAMPLE.org</contact></tuple>'
    '<tuple id="t2"><status/><r:class>work</r:class><contact>mailto%3Aalice@example.org</contact></tuple>'
    '<tuple id="t3"><status/><o:service-description><o:service-id>chat</o:service-id></o:service-description></tuple>'
    '<dm:person id="p1"><r:class>work</r:class></dm:person><dm:person id="p2"/>'
    '<dm:device id="d1"><r:class>work</r:class><dm:deviceID>urn:uuid:AB</dm:deviceID></dm:device>'
    '<dm:device id="d2"><dm:deviceID>mac:8asd</dm:deviceID></dm:device>'
)


@pytest.mark.rfc("AUTH-028")
@pytest.mark.parametrize(
    ("kind", "member", "shown"),
    [
        ("services", Member("class", "work"), ["t2"]), ("services", Member("class", "Work"), ["t1"]),
        ("services", Member("service-uri", "SIP:alice@example.org"), ["t1"]),
        ("services", Member("service-uri-scheme", "sip"), ["t1"]),
        ("services", Member("service-uri-scheme", "mailto"), ["t2"]), ("services", Member("service-uri-scheme", "SIP"), []),
        ("services", Member("service-uri", "mailto:ALICE@example.org"), []), ("services", Member("service-id", "chat"), ["t3"]),
        ("services", Member("occurrence-id", "t2"), ["t2"]), ("services", Member("occurrence-id", "T2"), []),
        ("persons", Member("class", "work"), ["p1"]), ("persons", Member("occurrence-id", "p2"), ["p2"]),
        ("devices", Member("class", "work"), ["d1"]), ("devices", Member("occurrence-id", "d2"), ["d2"]),
        ("devices", Member("deviceID", "urn:UUID:ab"), ["d1"]), ("devices", Member("deviceID", "MAC:8asd"), ["d2"]),
        ("devices", Member("deviceID", "mac:8ASD"), []),
    ],
)  # fmt: skip
def test_members_of_a_set(kind: str, member: Member, shown: list[str]) -> None:
    permissions = Permissions(**{kind: frozenset({member})})  # type: ignore[arg-type]
    assert [each for each in ids(seen(permissions, SETS)) if each != "offline"] == shown


def test_a_component_that_is_shown_for_its_class_keeps_it_and_no_other_does() -> None:
    work = Member("class", "work")
    shown = seen(Permissions(services=frozenset({work, Member("occurrence-id", "t1")}), persons=frozenset({work})), SETS)
    assert [element.getparent().get("id") for element in shown.iterfind(".//r:class", NAMES)] == ["t2", "p1"]
    by_id = seen(Permissions(services=frozenset({work, Member("occurrence-id", "t2")})), SETS)
    assert by_id.find(".//r:class", NAMES) is None


# Attributes


@pytest.mark.rfc("AUTH-013", "AUTH-029", "AUTH-032")
def test_what_always_stays_and_nothing_else() -> None:
    root = seen(COMPONENTS)
    assert "M-" not in texts(root)
    (service, person, device) = root
    assert [etree.QName(child).localname for child in service] == ["status", "service-class", "contact", "timestamp"]
    assert [etree.QName(child).localname for child in service[0]] == ["basic"]
    assert [etree.QName(child).localname for child in person] == ["timestamp"]
    assert [etree.QName(child).localname for child in device] == ["deviceID", "timestamp"]
    assert service.find("p:contact", NAMES).get("priority") == "0.5"


PLACES = dict.fromkeys(pres_rules.ATTRIBUTES | pres_rules.OMA_ATTRIBUTES, 3) | {"deviceID": 1, "note": 4, "mood": 4}


@pytest.mark.rfc("AUTH-013", "AUTH-031", "AUTH-032", "AUTH-036")
@pytest.mark.parametrize("name", sorted(PLACES))
def test_a_permission_opens_its_attribute_and_no_other(name: str) -> None:
    root = seen(granting(attributes=frozenset({name})))
    marks = [word.partition("<")[0].partition(" ")[0] for word in texts(root).split("M-")[1:]]
    assert marks == [{"deviceID": "device"}.get(name, name)] * PLACES[name]


@pytest.mark.rfc("AUTH-032")
def test_an_unknown_attribute_is_opened_by_namespace_and_name_in_status_too() -> None:
    root = seen(granting(unknown=frozenset({("urn:vendor", "foo"), ("urn:other", "bar")})))
    assert [element.getparent().tag for element in root.iterfind(".//v:foo", NAMES)] == [
        f"{{{PIDF}}}status", pidf.TUPLE, pidf.PERSON, pidf.DEVICE,
    ]  # fmt: skip
    assert texts(root).count("M-") == 4


@pytest.mark.rfc("AUTH-032")
@pytest.mark.parametrize(
    "name",
    [(RPID, "mood"), (RPID, "user-input"), (RPID, "new"), (DATA_MODEL, "deviceID"), (DATA_MODEL, "note"), (PIDF, "note"),
     (OMA, "willingness"), (GEOPRIV, "geopriv"), ("urn:vendor", "top"), ("", "foo"), ("urn:vendor", "v:foo")],
)  # fmt: skip
def test_unknown_opens_nothing_that_is_known_and_nothing_under_presence(name: tuple[str, str]) -> None:
    body = FULL.replace("<r:service-class>", "<r:new>M-new</r:new><r:service-class>")
    assert "M-" not in texts(seen(granting(unknown=frozenset({name})), body))


@pytest.mark.rfc("AUTH-033")
def test_all_attributes_are_everything_inside_of_what_is_shown() -> None:
    permissions = Permissions(services=ALL, user_input=UserInput.FULL, all_attributes=True)
    (service,) = seen(permissions)
    (original, *_) = etree.fromstring(composed(FULL))
    assert etree.tostring(service, method="c14n", exclusive=True) == etree.tostring(original, method="c14n", exclusive=True)


@pytest.mark.rfc("AUTH-030")
@pytest.mark.parametrize(
    ("level", "attributes"), [(UserInput.FALSE, None), (UserInput.BARE, {}), (UserInput.THRESHOLDS, {"idle-threshold": "600"})]
)
def test_levels_of_user_input(level: UserInput, attributes: dict[str, str] | None) -> None:
    root = seen(granting(user_input=level))
    found = list(root.iterfind(".//r:user-input", NAMES))
    assert [(dict(each.attrib), each.text, len(each)) for each in found] == [(attributes, "idle", 0)] * (
        3 if attributes is not None else 0
    )
    assert "M-" not in texts(root)


@pytest.mark.rfc("AUTH-030")
def test_a_threshold_that_is_not_there_is_not_shown() -> None:
    body = presence('<dm:person id="p1"><r:user-input last-input="2027-01-15T08:00:00Z">idle</r:user-input></dm:person>')
    assert dict(seen(granting(user_input=UserInput.THRESHOLDS), body).find(".//r:user-input", NAMES).attrib) == {}


@pytest.mark.rfc("AUTH-030")
def test_full_user_input_keeps_all() -> None:
    root = seen(granting(user_input=UserInput.FULL))
    assert texts(root).count("M-since") == texts(root).count("M-in") == texts(root).count('last-input="') == 3


@pytest.mark.rfc("AUTH-031")
def test_notes_inside_of_attributes_go_with_them() -> None:
    body = presence(
        '<tuple id="t"><status/><note>T</note></tuple><dm:person id="p"><r:activities><r:note>A</r:note></r:activities>'
        "<r:mood><r:note>M</r:note></r:mood><dm:note>P</dm:note></dm:person>"
    )
    assert [note.text for note in seen(granting(attributes=frozenset({"note"})), body).iterfind(".//{*}note")] == ["T", "P"]
    assert [note.text for note in seen(granting(attributes=frozenset({"mood"})), body).iterfind(".//{*}note")] == ["M"]


@pytest.mark.rfc("AUTH-031")
def test_a_note_of_the_whole_document_needs_note_and_all_persons() -> None:
    body = presence('<tuple id="t"><status/></tuple><note>whole</note>')
    noted = frozenset({"note"})
    assert "whole" in texts(seen(Permissions(persons=ALL, attributes=noted), body))
    assert "whole" in texts(seen(Permissions(persons=ALL, all_attributes=True), body))
    assert "whole" not in texts(seen(Permissions(services=ALL, persons=ALL), body))
    assert "whole" not in texts(seen(Permissions(services=ALL, attributes=noted, persons=frozenset({Member("class", "a")})), body))


@pytest.mark.rfc("AUTH-033")
def test_everything_leaves_the_octets_alone_but_for_unknown_elements_under_presence() -> None:
    body = composed(FULL.replace("<v:top>M-top</v:top>", ""))
    assert filtered(body, EVERYTHING, OFFLINE) is body
    root = seen(EVERYTHING)
    assert root.find("v:top", NAMES) is None
    assert ids(root) == ["t1", "p1", "d1"]


# Namespaces


def test_no_declaration_tells_of_what_went() -> None:
    hidden = presence('<tuple id="t1"><status/><w:secret xmlns:w="urn:secret"/></tuple>').replace("urn:vendor", "urn:secret:client")
    shown = presence('<dm:person id="p"><v:foo v:is="v:t"/><r:mood/></dm:person>')
    root = seen(Permissions(persons=ALL, unknown=frozenset({("urn:vendor", "foo")})), composed(hidden, shown))
    assert "secret" not in texts(root)
    assert root.find(".//v:foo", NAMES).nsmap["v"] == "urn:vendor"
    assert "urn:secret:client" not in texts(seen(COMPONENTS, composed(hidden, shown)))


def test_a_prefix_that_is_bound_anew_inside_does_not_tell_of_the_outer_one() -> None:
    hidden = presence('<tuple id="t1"><status/></tuple>').replace("xmlns:v=", 'xmlns:q="urn:secret" xmlns:v=')
    shown = presence('<dm:person id="p"><v:foo><v:in xmlns:q="urn:q">q:name</v:in></v:foo></dm:person>')
    root = seen(Permissions(persons=ALL, unknown=frozenset({("urn:vendor", "foo")})), composed(hidden, shown))
    assert "secret" not in texts(root)
    assert root.find(".//v:in", NAMES).nsmap["q"] == "urn:q"


def test_a_prefix_of_an_attribute_keeps_its_namespace() -> None:
    body = presence('<tuple id="t"><status/><v:foo o:at="1"/></tuple>')
    (foo,) = seen(granting(unknown=frozenset({("urn:vendor", "foo")})), body).iterfind(".//v:foo", NAMES)
    assert dict(foo.attrib) == {f"{{{OMA}}}at": "1"}


def test_a_prefix_that_is_used_in_text_only_keeps_its_namespace() -> None:
    body = presence('<tuple id="t"><status/><v:foo><v:a>x o:name</v:a><v:b v:q="g:name"/>r:tail</v:foo></tuple>')
    (foo,) = seen(granting(unknown=frozenset({("urn:vendor", "foo")})), body).iterfind(".//v:foo", NAMES)
    assert {"v", "o", "g", "r"} <= set(foo.nsmap)
    assert "xsi" not in foo.nsmap


def test_elements_without_namespace_inside_stay_without() -> None:
    device = f'<deviceID xmlns="{DATA_MODEL}">urn:d</deviceID>'
    body = presence(f'<tuple id="t"><status/><v:foo><a xmlns=""><b/></a><c xmlns="urn:c"/></v:foo>{device}</tuple>')
    root = seen(granting(unknown=frozenset({("urn:vendor", "foo")}), attributes=frozenset({"deviceID"})), body)
    assert [element.tag for element in root.find(".//v:foo", NAMES).iter()] == ["{urn:vendor}foo", "a", "b", "{urn:c}c"]
    assert root.find("p:tuple/dm:deviceID", NAMES).text == "urn:d"


# Offline and polite blocking


@pytest.mark.rfc("AUTH-008")
def test_offline_and_nothing_left_are_the_same_octets_as_politely_blocked() -> None:
    body = composed(presence('<tuple id="t1"><status/><r:class>home</r:class></tuple>'))
    for offline in (OFFLINE, EMPTY, b""):
        chosen = Permissions(services=frozenset({Member("class", "work")}))
        assert filtered(offline, chosen, offline) == filtered(body, chosen, offline) == offline
        assert filtered(offline, EVERYTHING, offline) == offline


@pytest.mark.rfc("AUTH-008", "AUTH-012")
def test_without_services_offline_and_nothing_left_are_the_same_octets() -> None:
    body = composed(presence('<tuple id="t1"><status/></tuple>'))
    for permissions in (Permissions(Decision.ALLOW), Permissions(Decision.ALLOW, persons=ALL, all_attributes=True)):
        assert filtered(body, permissions, OFFLINE) == filtered(OFFLINE, permissions, OFFLINE) == EMPTY
        assert filtered(body, permissions, b"") == b""


# Whatever comes

PERMISSIONS = st.builds(
    lambda parts, generous: pres_rules.parse(document(rule(None, "allow", "".join(parts))), generous=generous).rules[0].permissions,
    st.lists(TRANSFORMATIONS, max_size=6),
    st.booleans(),
)


@pytest.mark.rfc("AUTH-034")
@settings(deadline=None)
@given(published(), PERMISSIONS)
def test_the_result_is_valid_and_its_own_result(sources: list[Source], permissions: Permissions) -> None:
    more = Permissions(unknown=frozenset({("urn:v1", "e"), ("urn:w", "e"), ("urn:default", "e")}))
    seen(permissions | more, compose(ENTITY, sources, Offline.CLOSED).body)


@pytest.mark.rfc("AUTH-034")
@settings(deadline=None)
@given(PERMISSIONS, st.sampled_from([FULL, SETS, *CLIENTS.values()]), st.sampled_from([OFFLINE, EMPTY]))
def test_documents_of_clients_too(permissions: Permissions, body: str, offline: bytes) -> None:
    seen(permissions, body, offline)


@pytest.mark.rfc("AUTH-013")
@settings(deadline=None)
@given(PERMISSIONS)
def test_no_mark_is_seen_that_is_not_granted(permissions: Permissions) -> None:
    marks = {word.partition("<")[0].partition(" ")[0].partition('"')[0] for word in texts(seen(permissions)).split("M-")[1:]}
    if not permissions.all_attributes:
        opened = set(permissions.attributes) | {name for namespace, name in permissions.unknown if namespace == "urn:vendor"}
        opened |= {"device"} if "deviceID" in opened else set()
        opened |= {"ui", "since", "x", "in"} if permissions.user_input is UserInput.FULL else set()
        assert marks <= opened


@settings(deadline=None)
@given(PERMISSIONS, PERMISSIONS, st.sampled_from([FULL, SETS]))
def test_who_is_granted_more_sees_more_components(less: Permissions, more: Permissions, body: str) -> None:
    before, after = seen(less, body), seen(less | more, body)
    assert set(ids(before)) - {"offline"} <= set(ids(after))


# The sphere


def published_sphere(*contents: str) -> str | None:
    bodies = [presence(f'<dm:person id="p">{content}</dm:person>') for content in contents]
    return sphere_of([pidf.parse(body.encode(), pidf.MEDIA_TYPE) for body in bodies])


@pytest.mark.rfc("AUTH-025")
@pytest.mark.parametrize(
    ("contents", "sphere"),
    [
        (["<r:sphere><r:work/></r:sphere>"], "work"), (["<r:sphere><r:note>n</r:note><r:home/></r:sphere>"], "home"),
        (["<r:sphere> Work </r:sphere>", "", "<r:sphere><r:work/></r:sphere>"], "work"),
        (["<r:sphere><r:other> Club </r:other></r:sphere>"], "club"), (["<r:sphere><v:Ship/></r:sphere>"], "ship"),
        (["<r:sphere>home</r:sphere>"], "home"),
        (["<r:sphere><r:work/></r:sphere>", "<r:sphere><r:home/></r:sphere>"], None), ([], None), (["<r:mood/>"], None),
        (["<r:sphere><r:unknown/></r:sphere>"], None), (["<r:sphere/>"], None),
        (["<r:sphere><r:work/></r:sphere>", "<r:sphere><r:unknown/></r:sphere>"], None),
        (['<r:sphere until="2027-01-15T08:00:00Z"><r:work/></r:sphere>'], None),
        (['<r:sphere from="2027-01-15T08:00:00Z"><r:work/></r:sphere>', "<r:sphere><r:work/></r:sphere>"], None),
    ],
)  # fmt: skip
def test_the_sphere_is_what_all_persons_say(contents: list[str], sphere: str | None) -> None:
    assert published_sphere(*contents) == sphere


@pytest.mark.rfc("AUTH-025")
def test_only_persons_have_a_sphere() -> None:
    body = presence('<tuple id="t"><status/><r:sphere><r:work/></r:sphere></tuple>')
    assert sphere_of([pidf.parse(body.encode(), pidf.MEDIA_TYPE)]) is None
