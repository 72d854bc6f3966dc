"""Secrets, taken out of text that people hand on. Pure.

What a secret is, is known by its form (keys, tokens, certificates' keys) or by the name before it,
which may be a list's. Names of things stay, also of Secrets: who reads the bundle must see which
one was meant.
"""

import re

from tortie.diagnostics.lists import without_lists
from tortie.diagnostics.names import GONE, INNER, KEY, LISTED, NAME, REFERENCE, STRING

_HEADERS = r"(?:set-)?cookie2?|(?:proxy-)?authorization"
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S
        ),
        f"-----{GONE}: a private key-----",
    ),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"), GONE),  # a JSON web token
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {GONE}"),
    # A header's whole line, up to the end of the string that it stands in; quotes may be its own.
    (re.compile(rf"(?i)(?<![\w./-])((?:{_HEADERS}):[ \t]*)(?=\S)"
                r"(?:=\\?\"[^\"\\\r\n]*\\?\"|[^\r\n\"'\\])+"),
     rf"\1{GONE}"),
    (re.compile(r"(://[^\s/:@\"']*):[^\s/@\"']+@"), rf"\1:{GONE}@"),
    (re.compile(r"(?i)\b((?:client-key|certificate-authority|client-certificate)-data"
                r"(?:\\?[\"'])?[ \t]*:[ \t]*(?:\\?[\"'])?)[^\s\"'\\,}]+"),
     rf"\1{GONE}"),
    (re.compile(r"\bLS0tLS1CRUdJTi[\w+/=]{16,}"), GONE),  # base64 of "-----BEGIN"
    (re.compile(rf"(?i)(\"name\"\s*:\s*\"{LISTED}\"\s*,\s*\"value\"\s*:\s*){STRING}"),
     rf'\1"{GONE}"'),
    (re.compile(rf"(?i)(\\\"name\\\"\s*:\s*\\\"{LISTED}\\\"\s*,\s*\\\"value\\\"\s*:\s*)"
                rf"{INNER}"),
     rf'\1\\"{GONE}\\"'),
    (re.compile(rf"(?im)^([ \t]*(?:-[ \t]+)?name:[ \t]*([\"']?){LISTED}\2[ \t]*\n"
                r"[ \t]*value:[ \t]*)\S.*$"),
     rf"\1{GONE}"),
    (re.compile(rf"(?i)(\\\"(?!(?:[\w.-]*{REFERENCE})\\){NAME}\\\"\s*:\s*){INNER}"),
     rf'\1\\"{GONE}\\"'),
    (re.compile(rf"(?im)^(([ \t]*)(?:-[ \t]+)?{KEY}:[ \t]*[|>][-+0-9]*)[ \t]*"
                r"(?:\n\2[ \t]+\S.*)+"),
     rf"\1\n\2  {GONE}"),
    (re.compile(rf"(?im)^([ \t]*(?:-[ \t]+)?{KEY}:[ \t]+)(?![\"'{{|>]|\[\][ \t]*$)\S.*$"),
     rf"\1{GONE}"),
    (re.compile(rf"(?im)^([ \t]*(?:export[ \t]+)?{KEY}=)(?![\"'=])\S+"), rf"\1{GONE}"),
    (re.compile(rf"(?i)(?<![\w-])(--{LISTED}[ \t]+)(?!-)[^\s\"'\\,]+"), rf"\1{GONE}"),
    (re.compile(r"(?i)(\bpassword\s+)(?:\"(?:[^\"\\]|\\.)*\"|'[^']*'|\S+)(?=\s*;)"), rf"\1{GONE}"),
    (re.compile(r"(?m)^([ \t]*(?:private|preshared)[ _]key[ \t]*[:=][ \t]*)\S+"),
     rf"\1{GONE}"),
    (re.compile(rf"(?i)(([\"'])(?!(?:[\w.-]*{REFERENCE})\2){NAME}\2\s*:\s*)"
                r"(?:\"(?:[^\"\\]|\\.)*\"|'[^'\n]*')"),
     rf'\1"{GONE}"'),
    (re.compile(rf"(?im)(^|[\s,{{(\"'])((?![\w.-]*{REFERENCE}[ \t]*[:=])"
                rf"{NAME}[ \t]*(?::|=(?!=))[ \t]*)"
                r"(?:\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*'|[^\s,;\"'{}\[\]|]+"
                r"(?:,(?![\w.-]+[=:])[^\s,;\"'{}\[\]|]+)*)"),
     rf"\1\2{GONE}"),
)  # fmt: skip


def redact(text: str) -> str:
    """`text` without secrets; lines stay where they were, as far as a key does not span them."""
    text = without_lists(text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
