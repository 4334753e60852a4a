"""The payloads: what programs, people's clipboards and attackers put where text is expected.

Owns the list. FORMATS would leave a file named pwned where anything carries it out.
"""
PWNED = "touch \"$W/pwned\""

TEXTS = {  # what JSON and YAML can say
    "escapes": "a\x1b]52;c;QUJD\x07\x1b]0;title\x07\x1b[2J\x1b[31mred\x1bPq\x1b\\\x1b[6nz",
    "c1": "a\x9b31m\x9d52;c;QUJD\x9cz",
    "bidi": "a\u202egpj.exe\u2066\u200b\ufeff\u2028\U000e0041z",
    "controls": "a\x01\x05\x08\x0b\x0c\x0e\x7f\x85\rz",
    "formats": f"a#({PWNED})#{{E:x}}#[fg=red]`{PWNED}`$({PWNED})%s%n;'\"\\{{prompt}}z",
    "wide": "a日本語👩‍👩‍👧‍👦e\u0301\u0301\u0301\u0301\u0301\u0301\u0301\u0301z",
    "nul": "a\0z",
}
BYTES = {name: text.encode() for name, text in TEXTS.items()}
BYTES["broken"] = b"a\xff\xfe\xed\xa0\x80\xf5\x80\x80\x80\xc0\xafz"
BYTES["latin"] = b"a\x9b31m\x9d52;c;QUJD\x9cz"

PLAIN_NAMES = [value.replace(b"\0", b"").replace(b"/", b"_") for value in BYTES.values()]

HUGE = 16 << 20  # bytes of the longest string
DEEP = 100_000  # levels of the deepest JSON
