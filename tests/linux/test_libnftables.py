"""libnftables in process: whole transactions, and errors for people."""

import os
from collections.abc import Iterator

import pytest

from tortie.linux import libnftables
from tortie.linux.libnftables import Nftables, NftError
from tortie.linux.namespaces import create_named, delete_named, in_namespace


@pytest.fixture
def nft() -> Iterator[Nftables]:
    name = f"tlnf{os.getpid()}"
    path = create_named(name)
    try:
        with in_namespace(path):
            made = Nftables()
        with made:
            yield made
    finally:
        delete_named(name)


@pytest.mark.root
def test_commands_run_in_the_namespace_of_the_context(nft: Nftables) -> None:
    assert nft.run("add table ip t; add chain ip t c") == ""
    assert nft.run("list tables") == "table ip t\n"
    with Nftables() as outside:
        assert "table ip t\n" not in outside.run("list tables")


@pytest.mark.root
def test_a_refused_transaction_leaves_nothing_and_says_why(nft: Nftables) -> None:
    with pytest.raises(NftError, match="No such file or directory") as caught:
        nft.run("add table ip t\nadd rule ip t nowhere drop")
    assert "nowhere" in caught.value.text
    assert nft.run("list tables") == ""


@pytest.mark.root
def test_a_syntax_error_shows_the_place(nft: Nftables) -> None:
    with pytest.raises(NftError, match="syntax error"):
        nft.run("add nonsense")
    assert nft.run("list tables") == ""


@pytest.mark.root
def test_a_long_error_is_cut(nft: Nftables) -> None:
    with pytest.raises(NftError) as caught:
        nft.run("\n".join(f"add rule ip t{n} c drop" for n in range(500)))
    assert len(str(caught.value).splitlines()) <= 13
    assert "more lines" in str(caught.value)


@pytest.mark.root
def test_a_zero_byte_and_a_closed_context_are_refused(nft: Nftables) -> None:
    with pytest.raises(NftError, match="zero byte"):
        nft.run("add table ip t\0 evil")
    nft.close()
    nft.close()
    with pytest.raises(NftError, match="closed"):
        nft.run("list tables")


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libnftables, "_LIBRARY", "libnftables-missing.so.9")
    with pytest.raises(NftError, match="install the package libnftables1"):
        Nftables()
