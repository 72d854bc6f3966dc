"""The kinds of `projectcalico.org/v3`, one a module: fields with their meaning, then rules."""

API_VERSION = "projectcalico.org/v3"
