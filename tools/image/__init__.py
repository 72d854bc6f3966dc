"""One image with everything that a node needs, made of Debian's packages without a registry.

`python -m tools.image` resolves and downloads packages with apt (which checks their signatures) in
a state of its own, unpacks them, adds our wheels, and writes an OCI archive. Nothing of the image
is run and nothing needs root, so that an image for another processor is made in the same way.
"""
