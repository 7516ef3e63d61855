"""Which client gets which profile: kemi/client_profile.py. What the quirks do: tests/verbs/test_client_profiles.py."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kemi.client_profile import (
    AASTRA,
    BRIA,
    CISCO_SPA,
    EYEBEAM,
    JITSI,
    LINKSYS_SPA962,
    LINPHONE,
    PJSIP,
    PROFILES,
    STANDARD,
    Profile,
    profile_of,
)

CLIENTS = {
    "Linphonec/5.1.65 (belle-sip/5.1.64)": LINPHONE,
    "Linphone/3.6.1 (eXosip2/4.1.0)": LINPHONE,
    "Linphone Desktop/4.1.1 (belle-sip/1.6.3)": LINPHONE,
    "Linphone Desktop/5.1.2 (belle-sip/5.2.0)": LINPHONE,
    "LinphoneAndroid/5.2 (sdk_gphone64_x86_64) LinphoneSDK/5.3.21 (tags/5.3.21^0)": LINPHONE,
    "NonMCLinphoneAndroid/4.4.0 (Nokia 6.1 Plus) LinphoneSDK/4.5.0-beta.89+4aecab5-debug (pipelines/25895)": LINPHONE,
    "LinphoneAndroid/6.0.18 (Galaxy S21 5G) LinphoneSDK/5.4.50-pre.1+4c8eae6d7a (release/6.0)": STANDARD,
    "Linphone-Desktop/6.0.0 (debian) Linux LinphoneSDK/5.4.10": STANDARD,
    "Linphone-Desktop/5.10.0 (debian) Linux LinphoneSDK/5.10.1": STANDARD,
    "Jitsi2.10.5550Windows 10": JITSI,
    "Jitsi2.10.5550Mac OS X": JITSI,
    "Jitsi2.11.20200408Linux": JITSI,
    "PJSUA v2.17 Linux-6.1.0/x86_64/glibc-2.36": PJSIP,
    "CSipSimple_klte-23/r2457": PJSIP,
    "CSipSimple r1099 / thunderg-10": PJSIP,
    "eyeBeam release 1011d stamp 40820": EYEBEAM,
    "Bria 3 release 3.5.5 stamp 71243": BRIA,
    "Bria iOS release 3.9.5 stamp 38501.38502": BRIA,
    "Aastra 51i/2.5.1.41": AASTRA,
    "Cisco/SPA525G2-7.6.1(ES_RC01)": CISCO_SPA,
    "Cisco/SPA303-7.5.6a": CISCO_SPA,
    "Linksys/SPA962-6.1.5(a)": LINKSYS_SPA962,
    "SAMSUNG SMT-i3105/1.64": STANDARD,
    "baresip v1.0.0 (x86_64/linux)": STANDARD,
    "sipsimple 5.5.0": STANDARD,
    "Blink 5.5.0 (Linux)": STANDARD,
    "Purple/2.14.12": STANDARD,
    "SIP.js/0.21.2": STANDARD,
    "Twinkle/1.10.2": STANDARD,
    "X-Lite release 4.7.1 stamp 74247": STANDARD,
    "Linksys/SPA942-6.1.5(a)": STANDARD,
    "Cisco-CP8841/11.0.1": STANDARD,
    "Yealink SIP-T46G 28.83.0.50": STANDARD,
    "not a Jitsi2.10": STANDARD,
    "test": STANDARD,
    "": STANDARD,
}


@pytest.mark.parametrize(("user_agent", "profile"), CLIENTS.items())
def test_the_profile_of_a_client(user_agent: str, profile: Profile) -> None:
    assert profile_of(user_agent) is profile


@pytest.mark.parametrize("user_agent", CLIENTS)
def test_switched_off_everybody_is_standard(user_agent: str) -> None:
    assert profile_of(user_agent, 0) is STANDARD


def test_the_standard_profile_has_no_quirk() -> None:
    assert not any(getattr(STANDARD, each.name) for each in fields(Profile) if each.name != "name")


def test_each_other_profile_has_a_quirk_and_a_name_of_its_own_and_each_quirk_is_used() -> None:
    profiles = {profile for _, profile in PROFILES}
    assert len({profile.name for profile in profiles}) == len(profiles)
    quirks = [each.name for each in fields(Profile) if each.name != "name"]
    for profile in profiles - {STANDARD}:
        assert any(getattr(profile, quirk) for quirk in quirks), profile.name
    for quirk in quirks:
        assert any(getattr(profile, quirk) for profile in profiles), quirk


@given(st.text(max_size=200))
def test_any_user_agent_has_a_profile(user_agent: str) -> None:
    assert profile_of(user_agent) in {STANDARD, *(profile for _, profile in PROFILES)}
