"""docs/felix-parameters.md, from the parameters themselves.

`python -m tortie.engine.configuration.page > docs/felix-parameters.md` writes it anew.
"""

import sys
import textwrap
from collections.abc import Iterator

from tortie.api.calico.felix_configuration import FelixConfigurationSpec
from tortie.api.descriptions import of_field
from tortie.engine.configuration.bpf import BpfParameters
from tortie.engine.configuration.dataplane import DataplaneParameters
from tortie.engine.configuration.filters import FilterParameters
from tortie.engine.configuration.overlay import OverlayParameters
from tortie.engine.configuration.parameter import Parameter
from tortie.engine.configuration.parameters import BY_NAME
from tortie.engine.configuration.process import ProcessParameters
from tortie.engine.configuration.reasons import why_unused

_PARTS = (
    ProcessParameters,
    DataplaneParameters,
    FilterParameters,
    BpfParameters,
    OverlayParameters,
)
_HEAD = """\
# The agent's parameters

This page is made by `python -m tortie.engine.configuration.page` and not edited by hand.

Each parameter is read from the first of these that sets it:

1. the environment: `FELIX_<name>`, in any case;
2. the file `/etc/calico/felix.cfg`: `<name> = <value>` in its section `[global]`;
3. the FelixConfiguration `node.<node>`;
4. FelixConfigurations whose `nodeSelector` matches the Node's labels, the oldest first;
5. the FelixConfiguration `default`;
6. its default.

`none` turns a parameter off that has a default, unless it is *required*. A bad value is named, and
the default is used; where it says *stops the agent*, the agent does not start with it, and one that
runs keeps the last good settings. docs/agent.md says what takes effect at once. *Node only*: the
datastore may not set it. *Not Calico's*: a FelixConfiguration sets it by that annotation. Durations
are seconds in the environment and the file, and such as `1m30s` in a FelixConfiguration. **Not
used**: it is read and checked, and nothing acts on it, for the reason that follows.
"""


def page() -> str:
    """The page's text."""
    used = sum(known.parameter.used for known in BY_NAME.values())
    count = f"Of {len(BY_NAME)} parameters {used} are used.\n"
    return "\n".join((_HEAD, count, *_parts())) + "\n"


def _parts() -> Iterator[str]:
    for part in _PARTS:
        yield f"## {(part.__doc__ or '').rstrip('.')}\n"
        own = part.__annotations__
        for field, parameter in BY_NAME.values():
            if field in own:
                yield from _entry(parameter)
        yield ""


def _entry(parameter: Parameter) -> Iterator[str]:
    notes = [
        "required" if parameter.required else "",
        "stops the agent" if parameter.fatal else "",
        "node only" if parameter.local else "",
        "not Calico's" if parameter.own else "",
    ]
    noted = "".join(f", *{note}*" for note in notes if note)
    where = f" (`{parameter.field}`)" if parameter.field else ""
    where = f" (annotation `{parameter.annotation}`)" if parameter.own else where
    default = f"default `{parameter.default}`" if parameter.default else "no default"
    parts = (
        f"`{parameter.name}`{where}: {parameter.reader.syntax}; {default}{noted}.",
        _meaning(parameter),
        "" if parameter.used else f"**Not used**: {why_unused(parameter.name)}.",
    )
    yield textwrap.fill(
        " ".join(filter(None, parts)),
        98,
        initial_indent="- ",
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


_FIELDS = dict(
    zip(
        FelixConfigurationSpec.__struct_encode_fields__,
        FelixConfigurationSpec.__struct_fields__,
        strict=True,
    )
)
_LOCAL = {
    "DatastoreType": "Which datastore the agent follows.",
    "EtcdAddr": "An etcd server, where EtcdEndpoints is not set.",
    "EtcdCaFile": "Certificates that etcd's own must be signed by.",
    "EtcdCertFile": "The certificate that the agent shows to etcd.",
    "EtcdEndpoints": "The etcd servers.",
    "EtcdKeyFile": "The key of EtcdCertFile.",
    "EtcdScheme": "How EtcdAddr is spoken to.",
    "FelixHostname": "The node's name; found out where it is not set.",
    "TyphaAddr": "The fan-out server to follow instead of the datastore.",
    "TyphaCAFile": "Certificates that the fan-out server's own must be signed by.",
    "TyphaCN": "The name that the fan-out server's certificate must have.",
    "TyphaCertFile": "The certificate that the agent shows to the fan-out server.",
    "TyphaK8sNamespace": "The namespace of TyphaK8sServiceName.",
    "TyphaK8sServiceName": "The Service that fan-out servers are found by.",
    "TyphaKeyFile": "The key of TyphaCertFile.",
    "TyphaReadTimeout": "How long a silent fan-out server is waited for.",
    "TyphaURISAN": "The URI that the fan-out server's certificate must have.",
    "TyphaWriteTimeout": "How long a fan-out server may take to receive.",
}


_OWN = {
    "EndDeniedFlows": "End connections that a change of policy denies. Without it they go on until"
    " they end by themselves, as with Calico: policy is asked when a connection begins.",
}


def _meaning(parameter: Parameter) -> str:
    field = _FIELDS.get(parameter.field)
    return (
        {**_LOCAL, **_OWN}.get(parameter.name, "")
        if field is None
        else of_field(FelixConfigurationSpec, field)
    )


if __name__ == "__main__":
    sys.stdout.write(page())
