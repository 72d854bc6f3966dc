"""Putting the plugin's executable where a container runtime looks for it."""

from pathlib import Path

from tortie.cni.installer import files, interpreter, plugin


def install_plugin(directory: str | Path, name: str = plugin.NAME) -> Path:
    """Write the plugin as `directory/name`, to be run by this host's interpreter; its path.

    Beside it the same, as other plugins start it for addresses.

    For a folder of one's own, as a lab has: nothing notes it. Raises OSError, InstallError.
    """
    target = Path(directory) / name
    program = plugin.program(interpreter.hosts_own())
    for path in (target, target.with_name(plugin.IPAM)):
        files.write(path, program, 0o755)
    return target
