"""The selector language: which labelled things a policy or pool speaks of.

What comes in: selector text and label sets. What goes out: a parsed selector that says whether
labels match, its canonical text and hash id, and an index that keeps the members of many
selectors up to date as labels change. It never knows what carries the labels.
"""
