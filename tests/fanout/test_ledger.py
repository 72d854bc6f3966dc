"""A client goes from picture to picture and gives out only what differs."""

from hypothesis import given
from hypothesis import strategies as st

from fanout.serving import nets
from tortie.api import Key
from tortie.api.codec import encode
from tortie.fanout.ledger import Ledger
from tortie.fanout.messages import Record
from tortie.sync import Update

names = st.sampled_from("abcd")
values = st.sampled_from(["10.0.0.0/8", "10.1.0.0/16"])
pictures = st.dictionaries(names, values, max_size=4)
changes = st.lists(st.tuples(names, st.none() | values), max_size=6)
sessions = st.tuples(pictures, st.booleans(), changes)
"""One server: its picture, whether it is complete before the connection ends, what changes."""


def key(name):
    return Key("GlobalNetworkSet", "", name)


def record(name, value):
    return Record(*key(name), "GlobalNetworkSet", value and encode(nets(name, value)))


@given(st.lists(sessions, max_size=6))
def test_what_is_out_ends_equal_to_the_last_complete_picture_with_its_changes(history):
    ledger, out, expected = Ledger(), {}, {}

    def fold(updates):
        for update in updates:
            before = out.get(update.key)
            assert update.value != before, "nothing is repeated, nothing deleted twice"
            if update.value is None:
                del out[update.key]
            else:
                out[update.key] = update.value

    for picture, complete, changed in history:
        ledger.begin()
        fold(ledger.take(record(*item) for item in picture.items()).updates)
        if not complete:
            continue
        fold(ledger.complete())
        expected = dict(picture)
        for name, value in changed:
            fold(ledger.take([record(name, value)]).updates)
            if value is None:
                expected.pop(name, None)
            else:
                expected[name] = value
        assert out == {key(name): nets(name, value) for name, value in expected.items()}


def test_what_can_t_be_read_leaves_the_last_good_value_and_is_told():
    ledger = Ledger()
    ledger.begin()
    assert ledger.take([record("a", "10.0.0.0/8")]).updates
    ledger.complete()
    broken = Record(*key("a"), "GlobalNetworkSet", b'{"spec":{"nets":1}}')
    taken = ledger.take([broken])
    assert taken.updates == []
    ((found, message),) = taken.warnings
    assert found == key("a")
    assert "stays as it was" in message
    assert ledger.take([record("a", "10.0.0.0/8")]).updates == [], "it is still out"
    assert ledger.take([Record(*key("a"), "", None)]).updates == [Update(key("a"), None)]


def test_a_policy_that_was_never_read_is_named_until_it_is():
    ledger = Ledger()
    policy = Record("GlobalNetworkPolicy", "", "p", "GlobalNetworkPolicy", b"{")
    ledger.begin()
    ledger.take([policy])
    ledger.complete()
    (line,) = ledger.absent_policies()
    assert line.startswith("GlobalNetworkPolicy(p) can't be read")
    ledger.take([policy._replace(value=b'{"metadata":{"name":"p"},"spec":{}}')])
    assert ledger.absent_policies() == []


def test_kinds_of_newer_servers_are_passed_over_and_named_once():
    ledger = Ledger()
    taken = ledger.take([Record("Comet", "", name, "Comet", b"{}") for name in "ab"])
    assert taken.updates == []
    (message,) = [text for _, text in taken.warnings]
    assert "'Comet'" in message
