"""What a parameter is: its names, how its text is read, and what a bad value leads to."""

import re
from collections.abc import Callable
from typing import NamedTuple

_CAPITALS = re.compile(r"^([A-Z]+(?=[A-Z][a-z])|[A-Z]+(?=[0-9])|[A-Z])")


class Reader(NamedTuple):
    """`read` makes a value of text or raises ValueError that says what is allowed.

    `syntax` says it for the documentation; `zero` is the value of the text "none".
    """

    read: Callable[[str], object]
    syntax: str
    zero: object


class Parameter(NamedTuple):
    """One parameter by Calico's name. `default` is text; "" is none.

    `yaml` is its field in a FelixConfiguration where `field` does not follow from the name.
    `local`: it is of the node alone, a datastore may not set it. `required`: "none" is no value of
    it. `fatal`: a bad value stops the agent; for others the default is used instead. `used`:
    something acts on it as of now. `own`: Calico has no such parameter, so that a
    FelixConfiguration says it in an annotation: Calico's definitions would drop another field.
    """

    name: str
    reader: Reader
    default: str = ""
    yaml: str = ""
    local: bool = False
    required: bool = False
    fatal: bool = False
    used: bool = False
    own: bool = False

    @property
    def variable(self) -> str:
        """Its environment variable; read in any case."""
        return f"FELIX_{self.name}"

    @property
    def field(self) -> str:
        """Its field in a FelixConfiguration, "" for none: "BPFEnabled" is `bpfEnabled`."""
        if self.local or self.own:
            return ""
        return self.yaml or _CAPITALS.sub(lambda found: found[0].lower(), self.name, count=1)

    @property
    def annotation(self) -> str:
        """The annotation of a FelixConfiguration that says it, "" for none."""
        return f"tortie/{self.name[0].lower()}{self.name[1:]}" if self.own else ""

    def read(self, text: str) -> object:
        """The value that a text means. Raises ValueError."""
        if text.casefold() == "none" and not self._is_word(text):
            if self.required:
                raise ValueError('it needs a value, so "none" is none')
            return self.reader.zero
        return self.reader.read(text)

    def _is_word(self, text: str) -> bool:
        """Whether "none" is a value like others here: FlowLogsPolicyEvaluationMode `None`."""
        return f"`{text.casefold()}`" in self.reader.syntax.casefold()
