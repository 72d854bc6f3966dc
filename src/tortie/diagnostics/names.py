"""How what is secret is named, and what only names it. Pure."""

GONE = "[redacted]"
REFERENCE = r"(?:name|ref|keyref|file|path|dir|interval|ttl|selector|namespace|seconds|signer)s?\b"
"""The end of a name that says where a secret is, or for how long: that is none itself."""
# Looked for once in each word, and never given back: some letters would else take for ever.
NAME = (
    r"(?=[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|cookie|credential"
    r"|pre[_-]?shared[_-]?key|api[_-]?key|private[_-]?key|access[_-]?key)"
    r"|(?:proxy-)?authorization(?![\w.-]))[\w.-]++"
)
KEY = rf"(?![\w.-]*{REFERENCE}[ \t]*[:=]){NAME}"
LISTED = rf"(?![\w.-]*{REFERENCE}(?![\w.-])){NAME}"
"""Where neither ":" nor "=" follows at once."""
STRING = r"\"(?:[^\"\\]|\\.)*\""
INNER = r"\\\"(?:[^\"\\]|\\\\(?:\\[\"\\]|[^\"\\]))*\\\""
"""A string of JSON within a string of JSON, as kubectl notes what it applied last."""
