"""What can't be installed, in words."""


class InstallError(Exception):
    """Something that a person can mend: what was found, where, and what to do."""
