"""Whole numbers as options, told with their bounds: argparse's `choices` lists each of them."""

import argparse
from collections.abc import Callable


def within(least: int, most: int) -> Callable[[str], int]:
    """What reads a number from `least` to `most`."""

    def number(text: str) -> int:
        if not (text.isascii() and text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is no number from {least} to {most}")
        return int(text)

    return number
