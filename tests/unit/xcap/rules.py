"""Documents of presence rules for tests, written by hand and made at random."""

from hypothesis import strategies as st

from kemi.event_package import Decision
from kemi.xcap import pres_rules
from kemi.xcap.common_policy import Evaluation
from kemi.xcap.conditions import Context, Lookup
from kemi.xcap.pres_rules import Permissions

ALICE, BOB, CAROL = "sip:alice@example.org", "sip:bob@example.org", "sip:carol@example.com"
NOW = 1_800_000_000.0  # 2027-01-15T08:00:00Z

SCOPE = (
    'xmlns:cp="urn:ietf:params:xml:ns:common-policy" xmlns="urn:ietf:params:xml:ns:pres-rules" '
    'xmlns:ocp="urn:oma:xml:xdm:common-policy" xmlns:op="urn:oma:xml:prs:pres-rules" xmlns:x="urn:unknown"'
)


def rule(conditions: str | None, handling: str = "allow", transformations: str = "", name: str = "r") -> str:
    """One rule; conditions None: it has no such element; handling "": it has no actions."""
    parts = "" if conditions is None else f"<cp:conditions>{conditions}</cp:conditions>"
    parts += f"<cp:actions><sub-handling>{handling}</sub-handling></cp:actions>" if handling else ""
    parts += f"<cp:transformations>{transformations}</cp:transformations>" if transformations else ""
    return f'<cp:rule id="{name}">{parts}</cp:rule>'


def document(*rules: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<cp:ruleset {SCOPE}>{"".join(rules)}</cp:ruleset>'.encode()


def identity(*children: str) -> str:
    return f"<cp:identity>{''.join(children)}</cp:identity>"


def one(uri: str) -> str:
    return f'<cp:one id="{uri}"/>'


def many(domain: str | None = None, *excepts: str) -> str:
    attribute = "" if domain is None else f' domain="{domain}"'
    return f"<cp:many{attribute}>{''.join(excepts)}</cp:many>"


def validity(*bounds: str, until: str = "until") -> str:
    names = ["from", until] * len(bounds)
    return "<cp:validity>" + "".join(f"<cp:{name}>{bound}</cp:{name}>" for name, bound in zip(names, bounds)) + "</cp:validity>"  # noqa: B905


def external_list(*anchors: str) -> str:
    return "<ocp:external-list>" + "".join(f'<ocp:entry anc="{anchor}"/>' for anchor in anchors) + "</ocp:external-list>"


def nowhere(_anchor: str, _identity: str) -> bool:
    """The lookup of a user whose lists are empty."""
    return False


def context(*identities: str, sphere: str | None = None, now: float = NOW, is_listed: Lookup = nowhere) -> Context:
    return Context(identities, sphere, now, is_listed)


def evaluated(
    *documents: bytes,
    by: Context | None = None,
    default: Decision = Decision.CONFIRM,
    draft: bool = False,
    generous: bool = False,
) -> Evaluation[Permissions]:
    rulesets = [pres_rules.parse(each, f"document {number}", draft, generous) for number, each in enumerate(documents)]
    return pres_rules.evaluate(rulesets, by or context(BOB), default)


def decided(*documents: bytes, by: Context | None = None, default: Decision = Decision.CONFIRM, draft: bool = False) -> Decision:
    return evaluated(*documents, by=by, default=default, draft=draft).permissions.decision


def matches(conditions: str | None, by: Context | None = None, draft: bool = False) -> bool:
    """Whether a rule with these conditions grants what it has."""
    return decided(document(rule(conditions)), by=by, draft=draft) is Decision.ALLOW


# Made at random

WATCHERS = st.sampled_from([BOB, CAROL, "tel:+15551234", "sip:anonymous@anonymous.invalid"])
CONTEXTS = st.builds(
    lambda identities, sphere, now: Context(
        tuple(identities), sphere, now, lambda anchor, _: {"yes": True, "no": False}.get(anchor)
    ),
    st.lists(WATCHERS, max_size=2),
    st.sampled_from([None, "work", "home"]),
    st.sampled_from([NOW - 1, NOW, NOW + 1]),
)
EXCEPTS = st.sampled_from([f'<cp:except id="{BOB}"/>', '<cp:except domain="example.com"/>', '<cp:except entity="bob"/>'])
IDENTITIES = st.lists(
    st.one_of(
        st.builds(one, WATCHERS),
        st.builds(
            lambda domain, excepts: many(domain, *excepts), st.sampled_from([None, "example.org"]), st.lists(EXCEPTS, max_size=2)
        ),
        st.just("<x:group/>"),
    ),
    max_size=3,
).map(lambda children: identity(*children))
MONOTONE_CONDITIONS = st.one_of(
    IDENTITIES,
    st.sampled_from(
        [
            '<cp:sphere value="work home"/>', '<cp:sphere value="other"/>', "<ocp:anonymous-request/>", "<x:weather/>",
            validity("2027-01-15T08:00:00Z", "2027-01-15T08:00:01Z"), external_list("yes"), external_list("no", "unknown"),
        ]
    ),
)  # fmt: skip
"""All conditions but OMA's other-identity, which is there to become false when a rule is added."""

MEMBERS = ["<class>work</class>", "<class>home</class>", "<occurrence-id>t1</occurrence-id>", "<occurrence-id>p1</occurrence-id>"]
SERVICES = st.sampled_from(
    ["<all-services/>", "<service-uri>sip:alice@example.org</service-uri>", "<service-uri-scheme>sip</service-uri-scheme>",
     "<op:service-id>org.example.chat</op:service-id>", "<x:unknown/>", *MEMBERS]
)  # fmt: skip
TRANSFORMATIONS = st.one_of(
    st.builds("<provide-services>{}</provide-services>".format, SERVICES),
    st.builds("<provide-persons>{}</provide-persons>".format, st.sampled_from(["<all-persons/>", *MEMBERS])),
    st.builds(
        "<provide-devices>{}</provide-devices>".format,
        st.sampled_from(["<all-devices/>", "<deviceID>urn:uuid:d1</deviceID>", *MEMBERS]),
    ),
    st.builds(
        "<provide-{0}>{1}</provide-{0}>".format,
        st.sampled_from(sorted(pres_rules.ATTRIBUTES)),
        st.sampled_from(["true", "1", "false", "yes"]),
    ),
    st.builds(
        "<op:provide-{0}>{1}</op:provide-{0}>".format,
        st.sampled_from(sorted(pres_rules.OMA_ATTRIBUTES)),
        st.sampled_from(["true", "full", "false"]),
    ),
    st.builds("<provide-user-input>{}</provide-user-input>".format, st.sampled_from(["false", "bare", "thresholds", "full", "x"])),
    st.builds(
        '<provide-unknown-attribute ns="{}" name="{}">true</provide-unknown-attribute>'.format,
        st.sampled_from(["urn:vendor", "urn:ietf:params:xml:ns:pidf:rpid", "urn:other"]),
        st.sampled_from(["foo", "mood", "bar"]),
    ),
    st.just("<x:provide-all-attributes/>"),
    st.just("<provide-all-attributes/>"),
)
HANDLINGS = st.sampled_from(["", "block", "confirm", "polite-block", "allow", "Allow", "later"])
RULES = st.builds(
    lambda conditions, handling, transformations: rule("".join(conditions), handling, "".join(transformations)),
    st.lists(MONOTONE_CONDITIONS, max_size=2),
    HANDLINGS,
    st.lists(TRANSFORMATIONS, max_size=4),
)
