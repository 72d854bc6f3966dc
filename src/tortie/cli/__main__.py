"""`python -m tortie.cli`: the same as `tortie`, for the Python at hand."""

import sys

from tortie.cli.main import main

sys.exit(main())
