"""As much of the Common Expression Language as the API's rules use, to be run on plain data."""

import ipaddress
import operator
import re

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+(?:\.\d+)?)|'(?P<text>[^']*)'|(?P<name>[A-Za-z]\w*)"
    r"|(?P<sign>\|\||&&|[=!<>]=|[-!<>().,?:]))"
)
_COMPARE = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}


class Cidr:
    def __init__(self, text):
        self.interface = ipaddress.ip_interface(text)

    def __eq__(self, other):
        return self.interface == other.interface

    __hash__ = None

    def masked(self):
        return Cidr(str(self.interface.network))

    def ip(self):
        return Address(self.interface.ip)

    def prefixLength(self):
        return self.interface.network.prefixlen

    def containsIP(self, other):
        address = other.value if isinstance(other, Address) else ipaddress.ip_address(other)
        return address.version == self.interface.version and address in self.interface.network


class Address:
    def __init__(self, value):
        self.value = ipaddress.ip_address(value)

    def family(self):
        return self.value.version


def _is_ip(text):
    try:
        return bool(Address(text))
    except ValueError:
        return False


_FUNCTIONS = {"size": len, "cidr": Cidr, "ip": Address, "isIP": _is_ip}
_METHODS = {
    "contains": lambda text, part: part in text,
    "startsWith": str.startswith,
}


class Expression:
    """A parsed expression: `holds(self)` is its value for an object (dicts, lists, scalars)."""

    def __init__(self, text):
        self._tokens = [
            (found.lastgroup, found[found.lastgroup]) for found in _TOKEN.finditer(text)
        ]
        self._value = self._choice()
        assert not self._tokens, f"not understood: {self._tokens[:3]} in {text}"

    def holds(self, self_):
        """Whether it is true of an object; an error, as of a field that is absent, refuses it."""
        try:
            return self._value({"self": self_})
        except KeyError:
            return False

    def _next(self, *signs):
        if self._tokens and self._tokens[0][0] == "sign" and self._tokens[0][1] in signs:
            return self._tokens.pop(0)[1]
        return None

    def _expect(self, sign):
        assert self._next(sign), f"expected {sign} before {self._tokens[:3]}"

    def _choice(self):
        test = self._any()
        if not self._next("?"):
            return test
        then = self._choice()
        self._expect(":")
        otherwise = self._choice()
        return lambda names: then(names) if test(names) else otherwise(names)

    def _any(self):
        parts = [self._all()]
        while self._next("||"):
            parts.append(self._all())
        return lambda names: any(part(names) for part in parts) if parts[1:] else parts[0](names)

    def _all(self):
        parts = [self._comparison()]
        while self._next("&&"):
            parts.append(self._comparison())
        return lambda names: all(part(names) for part in parts) if parts[1:] else parts[0](names)

    def _comparison(self):
        left = self._unary()
        sign = self._next(*_COMPARE)
        if not sign:
            return left
        compare, right = _COMPARE[sign], self._unary()
        return lambda names: compare(left(names), right(names))

    def _unary(self):
        if self._next("!"):
            inner = self._unary()
            return lambda names: not inner(names)
        return self._path()

    def _path(self):
        value = self._primary()
        while self._next("."):
            value = self._member(value, self._tokens.pop(0)[1])
        return value

    def _primary(self):
        if self._next("("):
            value = self._choice()
            self._expect(")")
            return value
        sort, text = self._tokens.pop(0)
        if sort != "name" or text in ("true", "false"):
            constant = _constant(sort, text)
            return lambda _: constant
        return self._call(text) if self._next("(") else lambda names: names[text]

    def _call(self, name):
        argument = self._choice()
        self._expect(")")
        if name == "has":
            return lambda names: argument({**names, "has": True})
        return lambda names: _FUNCTIONS[name](argument(names))

    def _member(self, owner, name):
        if not self._next("("):
            return lambda names: _field(owner, name, names)
        if name == "exists":
            return self._exists(owner)
        arguments = []
        while not self._next(")"):
            arguments.append(self._choice())
            self._next(",")
        return lambda names: _result(owner(names), name, [each(names) for each in arguments])

    def _exists(self, owner):
        variable = self._tokens.pop(0)[1]
        self._expect(",")
        test = self._choice()
        self._expect(")")
        return lambda names: any(test({**names, variable: item}) for item in owner(names))


def _field(owner, name, names):
    """The field; in has() whether it is there, where what it belongs to must be there."""
    value = owner({key: item for key, item in names.items() if key != "has"})
    return name in value if names.get("has") else value[name]


def _constant(sort, text):
    if sort == "number":
        return float(text) if "." in text else int(text)
    return text if sort == "text" else text == "true"


def _result(value, name, arguments):
    if name in _METHODS:
        return _METHODS[name](value, *arguments)
    return getattr(value, name)(*arguments)
