"""Secrets, taken out of text that people hand on. Pure.

What a secret is, is known by its form (keys, tokens, certificates' keys) or by the name before it.
Names of things stay, also of Secrets: who reads the bundle must see which one was meant.
"""

import re

GONE = "[redacted]"
# Looked for once in each word, and never given back: some letters would else take for ever.
_NAME = (
    r"(?=[\w.-]*(?:passw(?:or)?d|passphrase|secret|token|credential|pre[_-]?shared[_-]?key"
    r"|api[_-]?key|private[_-]?key|access[_-]?key))[\w.-]++"
)
_REFERENCE = r"(?:name|ref|keyref|file|path|dir|interval|ttl|selector|namespace|seconds|signer)s?\b"
_KEY = rf"(?![\w.-]*{_REFERENCE}[ \t]*[:=]){_NAME}"
_LISTED = rf"(?![\w.-]*{_REFERENCE}(?![\w.-])){_NAME}"  # where neither ":" nor "=" follows
_STRING = r"\"(?:[^\"\\]|\\.)*\""
# A string of JSON within a string of JSON, as kubectl notes what it applied last.
_INNER = r"\\\"(?:[^\"\\]|\\\\(?:\\[\"\\]|[^\"\\]))*\\\""
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
        ),
        f"-----{GONE}: a private key-----",
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), GONE),  # a JSON web token
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {GONE}"),
    (re.compile(r"(://[^\s/:@\"']*):[^\s/@\"']+@"), rf"\1:{GONE}@"),
    (re.compile(r"(?i)\b((?:client-key|certificate-authority|client-certificate)-data"
                r"(?:\\?[\"'])?[ \t]*:[ \t]*(?:\\?[\"'])?)[^\s\"'\\,}]+"),
     rf"\1{GONE}"),
    (re.compile(r"\bLS0tLS1CRUdJTi[\w+/=]{16,}"), GONE),  # base64 of "-----BEGIN"
    (re.compile(rf"(?i)(\"name\"\s*:\s*\"{_LISTED}\"\s*,\s*\"value\"\s*:\s*){_STRING}"),
     rf'\1"{GONE}"'),
    (re.compile(rf"(?i)(\\\"name\\\"\s*:\s*\\\"{_LISTED}\\\"\s*,\s*\\\"value\\\"\s*:\s*)"
                rf"{_INNER}"),
     rf'\1\\"{GONE}\\"'),
    (re.compile(rf"(?im)^([ \t]*(?:-[ \t]+)?name:[ \t]*([\"']?){_LISTED}\2[ \t]*\n"
                r"[ \t]*value:[ \t]*)\S.*$"),
     rf"\1{GONE}"),
    (re.compile(rf"(?i)(\\\"(?!(?:[\w.-]*{_REFERENCE})\\){_NAME}\\\"\s*:\s*){_INNER}"),
     rf'\1\\"{GONE}\\"'),
    (re.compile(rf"(?im)^(([ \t]*)(?:-[ \t]+)?{_KEY}:[ \t]*[|>][-+0-9]*)[ \t]*"
                r"(?:\n\2[ \t]+\S.*)+"),
     rf"\1\n\2  {GONE}"),
    (re.compile(rf"(?im)^([ \t]*(?:-[ \t]+)?{_KEY}:[ \t]+)(?![\"'{{|>])\S.*$"), rf"\1{GONE}"),
    (re.compile(rf"(?im)^([ \t]*(?:export[ \t]+)?{_KEY}=)(?![\"'=])\S+"), rf"\1{GONE}"),
    (re.compile(rf"(?i)(?<![\w-])(--{_LISTED}[ \t]+)(?!-)[^\s\"'\\,]+"), rf"\1{GONE}"),
    (re.compile(r"(?i)(\bpassword\s+)(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S+)(?=\s*;)"), rf"\1{GONE}"),
    (re.compile(r"(?m)^([ \t]*(?:private|preshared)[ _]key[ \t]*[:=][ \t]*)\S+"),
     rf"\1{GONE}"),
    (re.compile(rf"(?i)(([\"'])(?!(?:[\w.-]*{_REFERENCE})\2){_NAME}\2\s*:\s*)"
                r"(?:\"(?:[^\"\\]|\\.)*\"|'[^'\n]*')"),
     rf'\1"{GONE}"'),
    (re.compile(rf"(?im)(^|[\s,{{(\"'])((?![\w.-]*{_REFERENCE}[ \t]*[:=])"
                rf"{_NAME}[ \t]*(?::|=(?!=))[ \t]*)"
                r"(?:\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s,;\"'{}\[\]|]+)"),
     rf"\1\2{GONE}"),
)  # fmt: skip


def redact(text: str) -> str:
    """`text` without secrets; lines stay where they were, as far as a key does not span them."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
