"""The words of the language as regular expressions, shared by the parser and its diagnosis.

    expr  := and ( "||" and )*
    and   := op ( "&&" op )*
    op    := "!"* ( "has(" label ")" | "all" | "global" | "(" expr ")" | cmp )
    cmp   := label ( "==" | "!=" | "contains" | "starts with" | "ends with" ) str
           | label ( "in" | "not in" ) "{" [ str ("," str)* [","] ] "}"
    label := [A-Za-z0-9_./-]{1,512}     str := "…" | '…', no escapes

Blanks are spaces and tabs. `all` and `global` may carry `()`; where a comparison follows they are
labels like any other. The blanks inside `starts with`, `ends with` and `not in` may be left out.

Quantifiers of characters are possessive: a label is never cut short to make room for an operator
(`acontains "x"` is an error). Those of groups are not, as Debian 12's Python (before 3.11.5) reads
on behind what such a group took before it failed: there `all(` was a selector. Each turn of these
begins with a character of its own, so that no input takes more than linear time.
"""

import re

MAX_LABEL = 512
BLANKS = r"[ \t]*+"
LABEL = r"[A-Za-z0-9_./-]{1,512}+(?![A-Za-z0-9_./-])"
STRING = r"""(?:"[^"]*+"|'[^']*+')"""
TEXT_OPERATOR = rf"==|!=|contains|starts{BLANKS}with|ends{BLANKS}with"
SET_OPERATOR = rf"not{BLANKS}in|in"
_LIST = rf"(?:{STRING}{BLANKS}(?:,{BLANKS}{STRING}{BLANKS})*(?:,{BLANKS})?)?"

OPERAND = re.compile(
    rf"""{BLANKS}(?:
      (?P<key>{LABEL}){BLANKS}(?:
          (?P<op>{TEXT_OPERATOR}){BLANKS}(?P<text>{STRING})
        | (?P<setop>{SET_OPERATOR}){BLANKS}\{{{BLANKS}(?P<values>{_LIST})\}}
      )
    | has\({BLANKS}(?P<has>{LABEL}){BLANKS}\)
    | (?P<open>\()
    | (?P<not>!)
    | (?P<word>all|global)(?![A-Za-z0-9_./-])(?:\({BLANKS}\))?
    )""",
    re.VERBOSE,
)
CONNECTIVE = re.compile(rf"{BLANKS}(?:(?P<and>&&)|(?P<or>\|\|)|(?P<close>\))|(?P<end>\Z))")
STRINGS = re.compile(r""""([^"]*+)"|'([^']*+)'""")
