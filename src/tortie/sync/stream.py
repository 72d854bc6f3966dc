"""The items of the update stream."""

from msgspec import Struct

from tortie.api import Key, Resource


class Update(Struct, frozen=True):
    """The resource of `key` is now `value`; None: it is gone."""

    key: Key
    value: Resource | None


class InSync(Struct, frozen=True):
    """Everything that was there at the start has been sent. Sent once."""


class Progress(Struct, frozen=True):
    """All changes up to and including `revision` of the datastore have been sent."""

    revision: int


Item = Update | InSync | Progress
