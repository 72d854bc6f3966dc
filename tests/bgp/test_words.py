"""Nothing that a person wrote gets into BIRD's text but through a checked word."""

import pickle

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tortie.bgp.words import LONGEST_SYMBOL, Password, interface_pattern, password, remark, symbol

SYMBOL = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")


@given(st.text(max_size=300))
def test_a_symbol_is_one_word_whatever_the_name(name: str) -> None:
    found = symbol("filter", name)
    assert set(found) <= SYMBOL
    assert len(found) + len("_export4") <= LONGEST_SYMBOL


@given(st.text(max_size=20), st.text(max_size=20))
def test_different_names_have_different_symbols(one: str, other: str) -> None:
    assert (symbol("filter", one) == symbol("filter", other)) is (one == other)


@given(st.text(max_size=300))
def test_a_remark_stays_on_its_line(text: str) -> None:
    found = remark(text)
    assert found.isascii()
    assert found.isprintable() or not found
    assert '"' not in found


@given(st.text(max_size=20))
def test_an_interface_is_a_name_or_refused(text: str) -> None:
    try:
        found = interface_pattern(text)
    except ValueError:
        return
    assert found == f'"{text}"'
    assert set(text) <= SYMBOL | set(".*-")


@pytest.mark.parametrize("value", [b"s3cret", b"a b;c#}{", b"'/*\\n", b"x" * 80])
def test_a_password_is_quoted_as_it_is(value: bytes) -> None:
    assert password(Password(value)) == f'"{value.decode()}"'


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"", "empty"),
        (b"x" * 81, "80 at most"),
        (b"line\n", "ends with a line break"),
        (b"two\nlines", "control character"),
        (b'quote"; protocol', 'control character or "'),
        (b"null\x00", "control character"),
        ("pässwort".encode(), "beyond ASCII"),
        (b"\xff\xfe", "beyond ASCII"),
    ],
)
def test_a_password_that_bird_cannot_be_told_is_refused_without_showing_it(
    value: bytes, said: str
) -> None:
    with pytest.raises(ValueError, match=said) as refused:
        Password(value)
    assert not value.strip() or value.decode("latin-1") not in str(refused.value)


def test_a_password_shows_itself_nowhere() -> None:
    secret = Password(b"hush-hush")
    assert "hush" not in repr(secret) + str(secret) + f"{secret}"
    assert "hush" not in repr([secret, {"a": secret}])
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    with pytest.raises(TypeError):
        pickle.dumps(secret, protocol=0)
    assert Password(b"a") == Password(b"a") != Password(b"b")
