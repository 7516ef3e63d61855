"""XML made at random, for hypothesis: texts, elements, and extensions of namespaces that nobody knows (prefix v: is declared)."""

import re

from hypothesis import strategies as st

XML_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="[]\ufffe\uffff"), max_size=12)
SPECIAL = re.compile(r"[&<>\"\s]")
SEVERAL = 5
"""Children at most."""


def escaped(text: str) -> str:
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)


def wrapped(name: str, content: st.SearchStrategy[str], **attributes: st.SearchStrategy[str | None]) -> st.SearchStrategy[str]:
    """An element, with some of these attributes; None: without it."""

    def made(content: str, values: dict[str, str | None]) -> str:
        written = "".join(f' {key.replace("_", "-")}="{escaped(value)}"' for key, value in values.items() if value is not None)
        return f"<{name}{written}>{content}</{name.partition(' ')[0]}>"

    return st.builds(made, content, st.fixed_dictionaries({}, optional=attributes))


def several(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(st.one_of(*parts), max_size=SEVERAL).map("".join)


TEXT = XML_TEXT.map(escaped)
EXTENSION = st.one_of(
    wrapped("v:e", TEXT, a=XML_TEXT),
    wrapped('w:e xmlns:w="urn:w"', several(TEXT, wrapped("v:f", TEXT), st.just("<!-- c -->"))),
    wrapped('e xmlns="urn:default"', several(TEXT, st.just('<f xmlns=""/>'))),
    st.just('<v:q xmlns:q="urn:q">q:name</v:q>'),
    st.just("""<v:q xmlns:q="urn:it's" q:a='1'/>"""),
)
