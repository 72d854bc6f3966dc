"""What was generated from the .proto is what its generator makes of it now."""

import subprocess
import sys
from pathlib import Path

import tortie.datastore.etcd

HERE = Path(tortie.datastore.etcd.__file__).parent


def test_the_stubs_are_those_of_the_proto(tmp_path: Path) -> None:
    proto = HERE / "rpc.proto"
    source = HERE.parents[2]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{source}", f"--python_out={tmp_path}"]
    subprocess.run([*command, f"--pyi_out={tmp_path}", str(proto)], check=True)
    for name in ("rpc_pb2.py", "rpc_pb2.pyi"):
        made = tmp_path / "tortie" / "datastore" / "etcd" / name
        assert made.read_text() == (HERE / name).read_text()
