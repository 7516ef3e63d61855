"""What presence rules grant, and how it is combined: kemi/xcap/pres_rules.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.event_package import Decision
from kemi.xcap import pres_rules
from kemi.xcap.pres_rules import ALL, EVERYTHING, Member, Permissions, UserInput, parse, without_policy, written
from tests.unit.xcap.rules import BOB, HANDLINGS, TRANSFORMATIONS, context, decided, document, evaluated, rule

ALLOW, POLITE, CONFIRM, BLOCK = Decision.ALLOW, Decision.POLITE_BLOCK, Decision.CONFIRM, Decision.BLOCK

PERMISSIONS = st.builds(
    lambda handling, transformations, generous: (
        parse(document(rule(None, handling, "".join(transformations))), generous=generous).rules[0].permissions
    ),
    HANDLINGS,
    st.lists(TRANSFORMATIONS, max_size=8),
    st.booleans(),
)


def granted(*transformations: str) -> Permissions:
    """What rules with these transformations grant together."""
    return evaluated(document(*(rule(None, "allow", each) for each in transformations))).permissions


def provided(kind: str, *members: str) -> str:
    return f"<provide-{kind}>{''.join(members)}</provide-{kind}>"


# The action


@pytest.mark.rfc("AUTH-004")
@pytest.mark.parametrize("winner", range(4))
def test_the_highest_handling_wins(winner: int) -> None:
    values = ["block", "confirm", "polite-block", "allow"][: winner + 1]
    assert decided(document(*(rule(None, value) for value in values))).value == values[-1]
    assert decided(document(*(rule(None, value) for value in reversed(values)))).value == values[-1]


@pytest.mark.rfc("AUTH-003", "AUTH-004")
@pytest.mark.parametrize("value", ["", "Allow", "30", "later", "<allow/>"])
def test_a_matching_rule_without_handling_or_with_an_unknown_one_blocks(value: str) -> None:
    assert decided(document(rule(None, value))) is BLOCK
    assert decided(document(rule(None, value), rule(None, "confirm"))) is CONFIRM


def test_white_space_and_comments_in_a_value_mean_nothing() -> None:
    assert decided(document(rule(None, " \n<!-- c -->al&#108;<![CDATA[ow]]> "))) is ALLOW


@pytest.mark.rfc("AUTH-016")
def test_unknown_actions_are_left_out() -> None:
    body = document(rule(None, "confirm")).replace(b"<sub-handling>", b"<x:sub-handling>allow</x:sub-handling><sub-handling>")
    assert decided(body) is CONFIRM


@pytest.mark.rfc("AUTH-005")
def test_without_policy_only_who_is_allowed_sees_something() -> None:
    assert without_policy(ALLOW) == EVERYTHING
    assert [without_policy(each) for each in (BLOCK, CONFIRM, POLITE)] == [Permissions(each) for each in (BLOCK, CONFIRM, POLITE)]
    assert evaluated(default=ALLOW).permissions == EVERYTHING


# Transformations


@pytest.mark.rfc("AUTH-003", "AUTH-012", "AUTH-013")
def test_a_rule_without_transformations_shows_nothing() -> None:
    assert granted("") == Permissions(ALLOW)


@pytest.mark.parametrize("handling", ["", "block", "confirm", "polite-block", "allow", "later"])
def test_read_generously_a_rule_that_allows_shows_everything_without_transformations(handling: str) -> None:
    bare = evaluated(document(rule(None, handling)), generous=True).permissions
    assert bare == (EVERYTHING if handling == "allow" else Permissions(decided(document(rule(None, handling)))))


@pytest.mark.rfc("AUTH-003", "AUTH-012")
@pytest.mark.parametrize(
    "element", ["<cp:transformations/>", "<cp:transformations><x:all/></cp:transformations>", "<transformations/>"]
)
def test_read_generously_a_rule_with_transformations_shows_what_they_say(element: str) -> None:
    body = document(rule(None).replace("</cp:rule>", f"{element}</cp:rule>"))
    assert evaluated(body, generous=True).permissions == evaluated(body).permissions == Permissions(ALLOW)


def test_what_a_rule_without_transformations_shows_is_added_to_what_others_show() -> None:
    services = rule(None, "allow", provided("services", "<all-services/>"))
    assert evaluated(document(services, rule(None, "confirm")), generous=True).permissions == Permissions(ALLOW, services=ALL)
    assert evaluated(document(services, rule(None)), generous=True).permissions == EVERYTHING
    assert evaluated(document(services, rule("<x:never/>")), generous=True).permissions == Permissions(ALLOW, services=ALL)


def test_rules_in_the_spelling_of_ser_have_transformations_too() -> None:
    body = b'<ruleset><rule id="a"><actions><sub-handling>allow</sub-handling></actions>%b</rule></ruleset>'
    assert evaluated(body % b"", draft=True, generous=True).permissions == EVERYTHING
    assert evaluated(body % b"<transformations/>", draft=True, generous=True).permissions == Permissions(ALLOW)


@pytest.mark.rfc("AUTH-028", "AUTH-036")
def test_components_are_all_or_have_members() -> None:
    assert granted(provided("services", "<all-services/>")).services == ALL
    assert granted(provided("persons", "<all-persons/>")).persons == ALL
    assert granted(provided("devices", "<all-devices/>")).devices == ALL
    assert granted(provided("services", "<class> Work </class>", "<service-uri>sip:a@x</service-uri>")).services == {
        Member("class", "Work"), Member("service-uri", "sip:a@x"),
    }  # fmt: skip
    members = [
        "<service-uri-scheme>sip</service-uri-scheme>",
        "<occurrence-id>t1</occurrence-id>",
        "<op:service-id>i</op:service-id>",
    ]
    assert {member.kind for member in granted(provided("services", *members)).services} == {
        "service-uri-scheme", "occurrence-id", "service-id",
    }  # fmt: skip
    assert granted(provided("devices", "<deviceID>urn:d</deviceID>")).devices == {Member("deviceID", "urn:d")}


@pytest.mark.rfc("AUTH-012", "AUTH-036")
@pytest.mark.parametrize(
    "member", ["<all-persons/>", "<x:all-services/>", "<deviceID>d</deviceID>", "<class/>", "<service-id>a</service-id>"]
)
def test_what_is_no_member_of_a_set_grants_nothing(member: str) -> None:
    assert granted(provided("services", member)).services == frozenset()


@pytest.mark.rfc("AUTH-013", "AUTH-036")
@pytest.mark.parametrize("name", sorted(pres_rules.ATTRIBUTES))
def test_every_attribute_has_its_permission(name: str) -> None:
    assert granted(f"<provide-{name}>true</provide-{name}>") == Permissions(ALLOW, attributes=frozenset({name}))
    assert granted(f"<provide-{name}>1</provide-{name}>").attributes == {name}
    for value in ("false", "0", "yes", "True", ""):
        assert granted(f"<provide-{name}>{value}</provide-{name}>") == Permissions(ALLOW)
    assert granted(f"<x:provide-{name}>true</x:provide-{name}>", f"<op:provide-{name}>true</op:provide-{name}>") == Permissions(
        ALLOW
    )


@pytest.mark.parametrize("name", sorted(pres_rules.OMA_ATTRIBUTES))
def test_every_attribute_of_oma_has_its_permission(name: str) -> None:
    value = "full" if name == "geopriv" else "true"
    assert granted(f"<op:provide-{name}>{value}</op:provide-{name}>").attributes == {name}
    assert granted(f"<op:provide-{name}>false</op:provide-{name}>", f"<provide-{name}>true</provide-{name}>") == Permissions(ALLOW)


@pytest.mark.rfc("AUTH-030")
def test_user_input_has_four_levels_and_the_highest_wins() -> None:
    levels = {
        value: granted(f"<provide-user-input>{value}</provide-user-input>").user_input for value in ("bare", "thresholds", "full")
    }
    assert levels == {"bare": UserInput.BARE, "thresholds": UserInput.THRESHOLDS, "full": UserInput.FULL}
    for value in ("false", "true", ""):
        assert granted(f"<provide-user-input>{value}</provide-user-input>").user_input is UserInput.FALSE
    two = [f"<provide-user-input>{value}</provide-user-input>" for value in ("thresholds", "bare")]
    assert granted(*two).user_input is granted("".join(two)).user_input is UserInput.THRESHOLDS


@pytest.mark.rfc("AUTH-032")
def test_unknown_attributes_are_granted_by_namespace_and_name() -> None:
    unknown = '<provide-unknown-attribute ns="urn:v" name="foo">{}</provide-unknown-attribute>'
    assert granted(unknown.format("true")).unknown == {("urn:v", "foo")}
    assert granted(unknown.format("false")) == Permissions(ALLOW)


@pytest.mark.rfc("AUTH-033")
def test_all_attributes_are_all_attributes_and_no_component() -> None:
    every = granted("<provide-all-attributes/><provide-mood>true</provide-mood>")
    assert every == Permissions(ALLOW, user_input=UserInput.FULL, all_attributes=True)
    assert granted("<provide-all-attributes>false</provide-all-attributes>") == Permissions(ALLOW)
    shown = provided("services", "<all-services/>") + provided("persons", "<all-persons/>") + provided("devices", "<all-devices/>")
    assert granted(shown, "<provide-all-attributes/>") == EVERYTHING


# Combining


@pytest.mark.rfc("AUTH-002")
def test_each_permission_is_combined_for_itself() -> None:
    work = provided("services", "<class>work</class>") + "<provide-mood>true</provide-mood><provide-note>false</provide-note>"
    home = provided("services", "<class>home</class>") + "<provide-note>true</provide-note>"
    assert evaluated(document(rule(None, "allow", work), rule(None, "block", home))).permissions == Permissions(
        ALLOW, services=frozenset({Member("class", "work"), Member("class", "home")}), attributes=frozenset({"mood", "note"})
    )


@pytest.mark.rfc("AUTH-002", "AUTH-003")
def test_only_matching_rules_are_combined() -> None:
    body = document(rule(None, "confirm"), rule("<ocp:anonymous-request/>", "allow", "<provide-all-attributes/>"))
    assert evaluated(body).permissions == Permissions(CONFIRM)
    assert evaluated(body, by=context()).permissions.all_attributes


@pytest.mark.rfc("AUTH-002")
@given(PERMISSIONS, PERMISSIONS, PERMISSIONS)
def test_combining_is_a_maximum(one: Permissions, two: Permissions, three: Permissions) -> None:
    assert one | one == one | Permissions() == one
    assert one | two == two | one
    assert (one | two) | three == one | (two | three)
    assert one | EVERYTHING == EVERYTHING


# Writing


@given(PERMISSIONS)
def test_written_permissions_are_read_again(permissions: Permissions) -> None:
    (read,) = parse(written(permissions).encode()).rules
    assert read.permissions == permissions
    assert read.conditions == ()


@given(PERMISSIONS, PERMISSIONS)
def test_different_permissions_are_written_differently(one: Permissions, two: Permissions) -> None:
    assert (written(one) == written(two)) == (one == two)


def test_a_change_of_transformations_alone_is_a_change() -> None:
    before, after = granted(provided("services", "<all-services/>")), granted(provided("persons", "<all-persons/>"))
    assert before.decision is after.decision
    assert written(before) != written(after)


def test_values_are_escaped_when_they_are_written() -> None:
    odd = granted(
        provided("services", "<class>&lt;a&gt; &amp;\n\"b\"</class>"),
        '<provide-unknown-attribute ns="urn:&quot;&lt;" name="&amp;">true</provide-unknown-attribute>',
    )  # fmt: skip
    assert odd.services == {Member("class", '<a> &\n"b"')}
    (read,) = parse(written(odd).encode()).rules
    assert read.permissions == odd


def test_the_example_of_rfc_5025() -> None:
    """Section 6, with a watcher that exists here."""
    body = f"""<?xml version="1.0" encoding="UTF-8"?>
<cr:ruleset xmlns="urn:ietf:params:xml:ns:pres-rules" xmlns:pr="urn:ietf:params:xml:ns:pres-rules"
 xmlns:cr="urn:ietf:params:xml:ns:common-policy">
 <cr:rule id="a">
  <cr:conditions><cr:identity><cr:one id="{BOB}"/></cr:identity></cr:conditions>
  <cr:actions><pr:sub-handling>allow</pr:sub-handling></cr:actions>
  <cr:transformations>
   <pr:provide-services>
    <pr:service-uri-scheme>sip</pr:service-uri-scheme><pr:service-uri-scheme>mailto</pr:service-uri-scheme>
   </pr:provide-services>
   <pr:provide-persons><pr:all-persons/></pr:provide-persons>
   <pr:provide-activities>true</pr:provide-activities>
   <pr:provide-user-input>bare</pr:provide-user-input>
   <pr:provide-unknown-attribute ns="urn:vendor-specific:foo-namespace" name="foo">true</pr:provide-unknown-attribute>
  </cr:transformations>
 </cr:rule>
</cr:ruleset>"""
    assert evaluated(body.encode()).permissions == Permissions(
        ALLOW,
        services=frozenset({Member("service-uri-scheme", "sip"), Member("service-uri-scheme", "mailto")}),
        persons=ALL,
        attributes=frozenset({"activities"}),
        unknown=frozenset({("urn:vendor-specific:foo-namespace", "foo")}),
        user_input=UserInput.BARE,
    )
