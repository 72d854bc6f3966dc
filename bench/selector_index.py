"""Selectors: reading them, asking them, and the index of a big cluster.

The index is that of 250,000 endpoints with 9 labels each and 50,000 selectors. Each figure has
beside it what the same answer costs without the idea behind it, measured on a sample.
"""

import json
import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from random import Random

from tortie.selectors import Selector, parse
from tortie.selectors.index import SelectorIndex
from tortie.selectors.tree import And, Equals, Has, In, Node, NotEquals

ITEMS = 250_000
SELECTORS = 50_000
UPDATES = 20_000
NAIVE_UPDATES = 20

Labels = dict[str, str]


def main() -> None:
    """Print every figure as a line of JSON."""
    reading()
    asking()
    indexing()


def reading() -> None:
    """10,000 distinct texts, against one pass of a tokenizer over them, which any parser needs."""
    texts = [
        f"projectcalico.org/orchestrator == 'k8s' && app == 'web-{n}' "
        f"&& role in {{'a', 'b-{n}'}} && !has(retired)"
        for n in range(10_000)
    ]
    token = re.compile(r"""[A-Za-z0-9_./-]+|"[^"]*"|'[^']*'|==|!=|&&|\|\||[!(){},]""")
    figure(
        "selectors: parse 10,000 distinct", seconds(lambda: [parse(text) for text in texts]), "s"
    )
    figure(
        "  one tokenizing pass over them", seconds(lambda: [token.findall(t) for t in texts]), "s"
    )
    figure(
        "  their canonical text and id", seconds(lambda: [parse(text).uid for text in texts]), "s"
    )


def asking() -> None:
    """One selector about one set of labels, against a walk over the syntax tree."""
    selector = parse("orchestrator == 'k8s' && tier in {'web', 'db'} && env != 'dev' && has(app)")
    labels = {"orchestrator": "k8s", "tier": "db", "env": "prod", "app": "shop"}
    times = 100_000
    compiled = seconds(lambda: [selector.matches(labels) for _ in range(times)])
    walked = seconds(lambda: [walk(selector.tree, labels) for _ in range(times)])
    figure("selectors: one match of four terms", compiled / times * 1e6, "µs")
    figure("  by a walk over the tree", walked / times * 1e6, "µs")


def indexing() -> None:
    """A cluster's worth of items and selectors, then single changes."""
    random = Random(1)
    items = {number: labels_of(number, random) for number in range(ITEMS)}
    selectors = [selector_of(number) for number in range(SELECTORS)]
    index: SelectorIndex[int, int] = SelectorIndex()
    figure("index: load 250,000 items of 9 labels", seconds(lambda: index.apply(items)), "s")
    figure("  into plain sets per pair", seconds(lambda: plain_sets(items)), "s")
    figure("index: add 50,000 selectors", seconds(lambda: add_all(index, selectors)), "s")
    figure("  by asking all items, at the rate of 5", naive_adds(items, selectors), "s")
    figure("index: label changes", updates(index, items, random), "/s")
    figure("  by asking all selectors", naive_updates(selectors, items, random), "/s")
    figure("index: items created", created(index, random), "/s")
    figure("index: one namespace of 250 relabelled", relabelled(index, items) * 1e3, "ms")


def labels_of(number: int, random: Random) -> Labels:
    """The labels of a pod: its own and (pcns.) its namespace's."""
    return {
        "projectcalico.org/orchestrator": "k8s",
        "projectcalico.org/namespace": f"ns-{number % 1000}",
        "projectcalico.org/serviceaccount": f"account-{number % 2000}",
        "pcns.team": f"team-{number % 100}",
        "pcns.env": ("prod", "dev")[number % 2],
        "app": f"app-{number % 5000}",
        "tier": random.choice(("web", "db", "cache")),
        "version": f"v{random.randrange(20)}",
        "pod": f"pod-{number}",
    }


def selector_of(number: int) -> Selector:
    """A policy's selector: in one namespace, of one app, or of one team's tier."""
    return parse(
        (
            f"projectcalico.org/namespace == 'ns-{number % 1000}' && app == 'app-{number % 5000}'",
            f"projectcalico.org/orchestrator == 'k8s' && app == 'app-{number // 10}' && has(tier)",
            f"pcns.team == 'team-{number % 100}' && app == 'app-{number % 5000}' "
            "&& tier in {'web', 'db'} && version != 'v0'",
        )[number % 3]
    )


def add_all(index: SelectorIndex[int, int], selectors: list[Selector]) -> None:
    for number, selector in enumerate(selectors):
        index.add(number, selector)


def plain_sets(items: Mapping[int, Labels]) -> object:
    found: dict[tuple[str, str], set[int]] = defaultdict(set)
    for number, labels in items.items():
        for pair in labels.items():
            found[pair].add(number)
    return found


def naive_adds(items: Mapping[int, Labels], selectors: list[Selector]) -> float:
    """Seconds for all selectors, from asking five of them about every item."""
    sample = selectors[:5]
    asked = seconds(lambda: [sum(map(each.matches, items.values())) for each in sample])
    return asked / len(sample) * len(selectors)


def updates(index: SelectorIndex[int, int], items: Mapping[int, Labels], random: Random) -> float:
    changes = [another_version(items, random) for _ in range(UPDATES)]
    return UPDATES / seconds(lambda: [index.apply(change) for change in changes])


def naive_updates(selectors: list[Selector], items: Mapping[int, Labels], random: Random) -> float:
    changes = [another_version(items, random) for _ in range(NAIVE_UPDATES)]
    labels = [labels for change in changes for labels in change.values()]
    spent = seconds(lambda: [[each.matches(found) for each in selectors] for found in labels])
    return NAIVE_UPDATES / spent


def another_version(items: Mapping[int, Labels], random: Random) -> dict[int, Labels]:
    """A change of one label of one item."""
    number = random.randrange(ITEMS)
    return {number: items[number] | {"version": f"v{random.randrange(20)}"}}


def created(index: SelectorIndex[int, int], random: Random) -> float:
    new = [{ITEMS + number: labels_of(number, random)} for number in range(UPDATES)]
    return UPDATES / seconds(lambda: [index.apply(change) for change in new])


def relabelled(index: SelectorIndex[int, int], items: Mapping[int, Labels]) -> float:
    changes = {number: items[number] | {"pcns.team": "new"} for number in range(0, ITEMS, 1000)}
    return seconds(lambda: index.apply(changes))


def walk(node: Node, labels: Mapping[str, str]) -> bool:
    """What a matcher without closures does."""
    match node:
        case And(operands):
            return all(walk(each, labels) for each in operands)
        case Equals(key, value):
            return labels.get(key) == value
        case NotEquals(key, value):
            return labels.get(key) != value
        case In(key, values):
            return labels.get(key) in values
        case Has(key):
            return key in labels
    raise TypeError(node)


def seconds(work: Callable[[], object]) -> float:
    """The processor time that a piece of work takes: others on the machine count for less."""
    start = time.process_time()
    work()
    return time.process_time() - start


def figure(name: str, value: float, unit: str) -> None:
    """Print one figure."""
    print(json.dumps({"name": name, "value": round(value, 4), "unit": unit}, ensure_ascii=False))


if __name__ == "__main__":
    main()
