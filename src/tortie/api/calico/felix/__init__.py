"""The fields of FelixConfiguration, by what they are about: each module adds to the one before.

An absent field leaves the agent's own default, which the field's line names.
"""
