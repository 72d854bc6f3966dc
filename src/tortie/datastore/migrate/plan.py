"""What an import does with each object, decided before anything is written. Pure."""

from collections import Counter
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from tortie.api import Key
from tortie.api.calico.cluster_information import ClusterInformation
from tortie.api.calico.tier import FIXED
from tortie.datastore.cluster import CLUSTER
from tortie.datastore.migrate.content import digest_of
from tortie.datastore.migrate.fitting import Fitted, fitted, why_not_named
from tortie.datastore.migrate.kubernetes import Fate, Judged, judge
from tortie.datastore.migrate.order import CLUSTERS_OWN, ORDER, POLICIES_OF_THE_CLUSTER
from tortie.datastore.migrate.stream import BadExport, Line
from tortie.datastore.migrate.survey import Found, Survey, Target

_RANK = {kind: rank for rank, kind in enumerate(ORDER)}
_ALREADY_THERE = CLUSTERS_OWN | POLICIES_OF_THE_CLUSTER | {"Node", "WorkloadEndpoint", "Profile"}


class Write(Enum):
    """How an object is written."""

    CREATE = "create"
    UPDATE = "update"


class Entry(NamedTuple):
    """An object to write: where it is in the file, and under which key it goes."""

    key: Key
    write: Write
    line: int
    offset: int


class Problem(NamedTuple):
    """What stands against an object. `line` is the file's; 0: it is not in the file."""

    line: int
    key: Key
    reason: str

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        return f"{where}{self.key}: {self.reason}"


class Plan(NamedTuple):
    """All of it. Counts are by kind."""

    cluster: ClusterInformation
    writes: tuple[Entry, ...]
    objects: Mapping[str, int]  # in the file
    equal: Mapping[str, int]  # there already
    follows: Mapping[str, int]  # the store derives them from what it has
    blocked: tuple[Problem, ...]  # nothing is written while there is one
    unkept: tuple[Problem, ...]  # can be left out where the person says so
    notes: tuple[str, ...]
    owners: Mapping[str, Key]  # uid in the file: who that is here

    @property
    def is_done(self) -> bool:
        """Whether the store holds all of the file and nothing else."""
        return not self.writes and not self.blocked


class Planner:
    """Is shown every object of the file; `plan` is the end.

    `resumed`: the store is marked as half-imported from this very file, so what differs is ours.
    """

    def __init__(self, target: Target, survey: Survey, *, resumed: bool) -> None:
        self._target = target
        self._survey = survey
        self._resumed = resumed
        self._wanted: set[Key] = set()
        self._owners: dict[str, Key] = {}
        self._cluster: ClusterInformation | None = None
        self._writes: list[Entry] = []
        self._objects: Counter[str] = Counter()
        self._equal: Counter[str] = Counter()
        self._follows: Counter[str] = Counter()
        self._blocked: list[Problem] = []
        self._unkept: list[Problem] = []
        self._notes: list[str] = []

    def take(self, line: Line) -> None:
        """The next object of the file."""
        found = fitted(line.resource, self._target, self._owners)
        key = found.resource.key
        self._objects[key.kind] += 1
        if key in self._wanted:
            self._blocked.append(Problem(line.number, key, "a second one, here, of that name"))
        self._wanted.add(key)
        if line.resource.metadata.uid:
            self._owners[line.resource.metadata.uid] = key
        if key == CLUSTER and isinstance(line.resource, ClusterInformation):
            self._cluster = line.resource
            self._equal[key.kind] += 1
            return
        self._notes += found.notes
        self._sort(line, found, self._judged(found))

    def plan(self) -> Plan:
        """What is to be done. Raises BadExport where the file does not say which cluster it is."""
        if self._cluster is None:
            raise BadExport("the file has no ClusterInformation default: it is of no whole cluster")
        self._blocked += [
            Problem(0, broken.key, f"is in the target, and can't be read: {broken.reason}")
            for broken in self._survey.malformed
        ]
        self._blocked += [
            Problem(0, key, "is in the target, and not in the file: delete it there first")
            for key, found in self._survey.objects.items()
            if key not in self._wanted and not self._may_stay(key, found)
        ]
        self._writes.sort(key=lambda entry: (_RANK[entry.key.kind], entry.offset))
        return Plan(
            self._cluster,
            tuple(self._writes),
            self._objects,
            self._equal,
            self._follows,
            tuple(self._blocked),
            tuple(self._unkept),
            tuple(self._notes),
            self._owners,
        )

    def _sort(self, line: Line, found: Fitted, judged: Judged) -> None:
        key = found.resource.key
        match judged.fate:
            case Fate.EQUAL:
                self._equal[key.kind] += 1
            case Fate.FOLLOWS:
                self._follows[key.kind] += 1
            case Fate.UNKEPT:
                self._unkept.append(Problem(line.number, key, judged.reason))
            case Fate.BLOCKED:
                self._blocked.append(Problem(line.number, key, judged.reason))
            case Fate.CREATE | Fate.UPDATE as fate:
                write = Write.CREATE if fate is Fate.CREATE else Write.UPDATE
                self._writes.append(Entry(key, write, line.number, line.offset))

    def _judged(self, wanted: Fitted) -> Judged:
        resource = wanted.resource
        if self._target is Target.KUBERNETES:
            judged = judge(resource, self._survey.objects, resumed=self._resumed)
            if judged is not None:
                return judged
        if reason := why_not_named(resource, self._target):
            return Judged(Fate.BLOCKED, reason)
        found = self._survey.objects.get(resource.key)
        if found is None:
            return Judged(Fate.CREATE)
        if found.digest == digest_of(resource):
            return Judged(Fate.EQUAL)
        if self._resumed or _is_fixed(resource.key):
            return Judged(Fate.UPDATE)
        return Judged(Fate.BLOCKED, "is in the target already, and says something else there")

    def _may_stay(self, key: Key, found: Found) -> bool:
        """What every cluster has, or what on Kubernetes is the cluster's own."""
        if key == CLUSTER or (_is_fixed(key) and _says_as_fixed(found)):
            return True
        return self._target is Target.KUBERNETES and key.kind in _ALREADY_THERE


def _is_fixed(key: Key) -> bool:
    return key.kind == "Tier" and key.name in FIXED


def _says_as_fixed(found: Found) -> bool:
    assert found.resource is not None
    spec = getattr(found.resource, "spec", None)
    return spec == FIXED[found.resource.metadata.name]
