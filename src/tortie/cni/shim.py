"""The CNI plugin's executable: hands its environment and input to the node's agent.

Container runtimes start it for every change of every pod, so what it imports is what it costs:
built-in modules and one extension. It decides nothing; it only knows how to say, as CNI wants it
said, that the agent can't be asked. VERSION is answered here, since a runtime asks for it before
any agent runs.

It has two names: as `calico-ipam` other plugins start it, for addresses alone (`cni-ipam`).

To the agent: one line {"verb": "cni", "env": {name: hex}, "config": hex}. Hex, because the input
may be anything, and escaping it would take a JSON library. From the agent: one line that begins
with {"exit":N,"output": followed by the JSON object to print.
"""

import posix
import sys

DEFAULT_SOCKET = b"/run/tortie/agent.sock"
VERSIONS = b'["0.1.0","0.2.0","0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]'
NEWEST = b"1.0.0"
TRY_AGAIN, IO_FAILURE, DECODING_FAILURE = 11, 5, 6  # the specification's error codes
LARGEST = 1 << 20  # bytes of input, of which the agent takes more; real ones are a few thousand
SLACK = 10.0  # seconds that the agent may take beyond its own limit
AGENT_LIMIT = 60.0  # seconds that the agent gives itself at most, `tortie.cni.server`
_VARIABLES = (
    b"CNI_COMMAND",
    b"CNI_CONTAINERID",
    b"CNI_NETNS",
    b"CNI_IFNAME",
    b"CNI_ARGS",
    b"CNI_PATH",
    b"CNI_NETNS_OVERRIDE",
)
_SUCCESS = b'{"exit":0,"output":'
_ERROR = b'{"exit":1,"output":'


def main() -> int:
    """Answer one call; returns the exit status."""
    config = _read_input()
    if posix.environ.get(b"CNI_COMMAND") == b"VERSION":
        version = text_of(config, b"cniVersion") or NEWEST
        _print(b'{"cniVersion":"%b","supportedVersions":%b}' % (version, VERSIONS))
        return 0
    if len(config) > LARGEST:
        return _fail(b"", DECODING_FAILURE, b"the input is larger than %d bytes" % LARGEST)
    path = text_of(config, b"agent_socket") or DEFAULT_SOCKET
    try:
        answer = _ask(path, _request(config))
    except OSError as problem:
        if not config.lstrip().startswith(b"{"):  # so nobody knows where the agent listens
            return _fail(b"", DECODING_FAILURE, b"the network configuration is no JSON object")
        return _fail(config, TRY_AGAIN, _no_answer(path, problem))
    for head, status in ((_SUCCESS, 0), (_ERROR, 1)):
        if answer.startswith(head) and answer.endswith(b"}\n"):
            output = answer[len(head) : -2]
            if output != b"null":
                _print(output)
            return status
    return _fail(config, IO_FAILURE, b"what listens on %b is not the node's agent" % path)


def _read_input() -> bytes:
    parts = []
    length = 0
    while length <= LARGEST and (part := posix.read(0, 65536)):
        parts.append(part)
        length += len(part)
    return b"".join(parts)


def _request(config: bytes) -> bytes:
    environ = b",".join(
        b'"%b":"%b"' % (name, posix.environ[name].hex().encode())
        for name in _VARIABLES
        if name in posix.environ
    )
    verb = b"cni-ipam" if sys.argv[0].endswith("/calico-ipam") else b"cni"
    return b'{"verb":"%b","env":{%b},"config":"%b"}\n' % (verb, environ, config.hex().encode())


def _ask(path: bytes, request: bytes) -> bytes:
    from _socket import AF_UNIX, SOCK_STREAM, socket  # `socket` itself costs 5 ms

    client = socket(AF_UNIX, SOCK_STREAM)
    client.settimeout(AGENT_LIMIT + SLACK)
    client.connect(path)
    client.sendall(request)
    answer = b""
    while not answer.endswith(b"\n"):
        part = client.recv(65536)
        if not part:
            raise ConnectionResetError(104, "it stopped in the middle of this request")
        answer += part
    return answer


def _no_answer(path: bytes, problem: OSError) -> bytes:
    reason = problem.strerror or str(problem)
    return b"the node's agent does not answer on %b (%b): is it running?" % (path, reason.encode())


def text_of(config: bytes, name: bytes) -> bytes:
    """The value of a plain text field anywhere in the JSON; empty where there is none.

    Enough for a path or a version. A value with a backslash or a control character is not taken:
    it is neither, and would not be JSON in what is printed.
    """
    at = config.find(b'"%b"' % name)
    if at < 0:
        return b""
    colon, value = config[at + len(name) + 2 :].lstrip()[:1], b""
    if colon == b":":
        rest = config[config.index(b":", at + len(name) + 2) + 1 :].lstrip()
        if rest[:1] == b'"':
            value = rest[1:].partition(b'"')[0]
    return b"" if b"\\" in value or min(value, default=32) < 32 else value


def _fail(config: bytes, code: int, message: bytes) -> int:
    version = text_of(config, b"cniVersion") or NEWEST
    safe = message.replace(b"\\", b"/").replace(b'"', b"'").decode("utf-8", "replace").encode()
    _print(b'{"cniVersion":"%b","code":%d,"msg":"%b"}' % (version, code, safe))
    return 1


def _print(line: bytes) -> None:
    data = line + b"\n"
    while data:
        data = data[posix.write(1, data) :]


if __name__ == "__main__":
    posix._exit(main())  # an orderly end of the interpreter takes another millisecond
