"""What an installation on this host did, for people and for programs."""

import json
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tortie.cni.installer.service import Report


def show(report: "Report", output: str) -> None:
    """Print it: lines, or one JSON object. Warnings as text go to stderr."""
    if output == "json":
        files = [{"path": path, "what": what} for path, what in report.done]
        print(json.dumps({"files": files, "warnings": list(report.warnings)}, indent=2))
        return
    for path, what in report.done or [("nothing", "there is nothing of ours here")]:
        print(f"{path}: {what}")
    for warning in report.warnings:
        print(f"warning: {warning}", file=sys.stderr)
