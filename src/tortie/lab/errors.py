"""The lab's one error."""


class LabError(Exception):
    """Something that a person can mend; the message says what, where and how."""
