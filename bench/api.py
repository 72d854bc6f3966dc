"""Resources: reading and judging policies, as bytes and as YAML."""

import json
import time
from collections.abc import Callable

from tortie.api import (
    EntityRule,
    NetworkPolicy,
    NetworkPolicySpec,
    ObjectMeta,
    Rule,
    decode,
    encode,
)
from tortie.api.manifests import read_manifests
from tortie.api.validation import validate
from tortie.api.writing import to_yaml

POLICIES = 10_000
WRITTEN = 500


def main() -> None:
    """Print every figure as a line of JSON."""
    policies = [policy(number) for number in range(POLICIES)]
    data = [encode(each) for each in policies]
    plain = seconds(lambda: [json.loads(each) for each in data])
    decoded = seconds(lambda: [decode("NetworkPolicy", each) for each in data])
    first = seconds(lambda: [validate(each) for each in policies])
    again = seconds(lambda: [validate(each) for each in policies])
    figure("api: decode and validate 10,000 policies of 5 rules", decoded + first, "s")
    figure("  of that decoding", decoded, "s")
    figure("  of that validating", first, "s")
    figure("  validating again, every selector known", again, "s")
    figure("  the json module alone, to dicts", plain, "s")
    text = to_yaml(policies[:WRITTEN])
    read = seconds(lambda: read_manifests("bench.yaml", text))
    figure("api: a policy of 5 rules from YAML, checked", read / WRITTEN * 1e6, "µs")


def policy(number: int) -> NetworkPolicy:
    """A policy of 5 rules; a thousand selectors and some networks among all of them."""
    rules = [
        Rule(
            action="Allow",
            protocol="TCP",
            source=EntityRule(selector=f"app == 'a{step}' && role in {{'x', 'y{number % 250}'}}"),
            destination=EntityRule(ports=(80 + step, "8000:8100")),
        )
        for step in range(4)
    ]
    nets = (f"10.{number % 256}.0.0/16", "192.168.0.0/16")
    rules.append(Rule(action="Deny", source=EntityRule(nets=nets)))
    return NetworkPolicy(
        metadata=ObjectMeta(name=f"p{number}", namespace=f"n{number % 100}", labels={"a": "b"}),
        spec=NetworkPolicySpec(order=float(number), ingress=tuple(rules)),
    )


def seconds(work: Callable[[], object]) -> float:
    """How long the work takes."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


def figure(name: str, value: float, unit: str) -> None:
    """One line of JSON."""
    print(json.dumps({"name": name, "value": value, "unit": unit}), flush=True)


if __name__ == "__main__":
    main()
