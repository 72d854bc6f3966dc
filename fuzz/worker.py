"""`python -m fuzz.worker TARGET [libFuzzer options and folders]`: fuzz one target, instrumented."""

import sys
from random import Random

import atheris

from fuzz.bounds import bounded

INSTRUMENTED_SLACK = 5.0  # what is slow only because it is watched is no finding


def main() -> None:
    """Never returns: libFuzzer ends the process."""
    name, *options = sys.argv[1:]
    with atheris.instrument_imports(include=["tortie"]):
        from fuzz.targets import load

        target = load(name)

    def check(data: bytes) -> None:
        bounded(target.check, data, INSTRUMENTED_SLACK)

    def mutate(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        if target.mutate is None or random.random() < 0.4:
            return bytes(atheris.Mutate(data, most))
        changed = target.mutate(data, random)
        return changed if len(changed) <= most else bytes(atheris.Mutate(data, most))

    atheris.Setup([sys.argv[0], *options], check, custom_mutator=mutate)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
