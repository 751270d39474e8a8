"""What attacks look like in refused text; every repetition in the patterns is bounded, so that no text takes long."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import StrEnum
from urllib.parse import unquote_plus

MAX_LOOKED_AT = 2_000
MAX_DECODINGS = 3


class Attack(StrEnum):
    """What somebody seems to try."""

    SQL = "sql"
    SCRIPT = "script"
    TEMPLATE = "template"
    COMMAND = "command"
    TRAVERSAL = "traversal"
    PROBE = "probe"


Signs = Mapping[Attack, tuple[str, ...]]
"""What is tried, and the words of our own list by which it was recognised; nothing else of the text is told."""

_GAP = r"(?:\s|/\*[^*]{0,20}\*/){1,8}"
_PROGRAM = r"(?:cat|ls|id|whoami|uname|wget|curl|nc|bash|sh|powershell|ping|rm|chmod|nslookup)"

_IN_INPUT = {
    Attack.SQL: (
        rf"\b(?:drop|truncate|alter){_GAP}(?:table|database|schema|view|role|user)\b",
        rf"\bdelete{_GAP}from\b",
        rf"\binsert{_GAP}into\b",
        rf"\bunion{_GAP}(?:all{_GAP})?select\b",
        r"\bselect\b[^;]{1,60}\bfrom\b",
        r"""['")]\s{0,4}(?:or|and)\b\s{0,4}['"(\w]{1,20}\s{0,4}(?:=|<|>|like\b)""",
        r"\bor\s{1,4}(\d)\s{0,2}=\s{0,2}\1",
        r"""['"]\s{0,4}(?:;|--|#)""",
        r";\s{0,4}(?:drop|delete|truncate|insert|update|alter|exec)\b",
        r"\b(?:pg_sleep|sleep|benchmark)\s{0,4}\(",
        rf"\bwaitfor{_GAP}delay\b",
        r"\b(?:xp_cmdshell|information_schema|pg_catalog)\b",
    ),
    Attack.SCRIPT: (
        r"<\s{0,4}/?(?:script|iframe|object|embed|svg|img)\b",
        r"\bjavascript\s{0,4}:",
        r"\bon(?:error|load|click|mouseover|focus|toggle)\s{0,4}=",
        r"\bdocument\s{0,2}\.\s{0,2}cookie\b",
    ),
    Attack.TEMPLATE: (r"\{\{.{0,60}?\}\}", r"\{%.{0,60}?%\}", r"[$#]\{.{0,60}?\}", r"<%=", r"\$\{jndi:"),
    Attack.COMMAND: (
        rf"[;|&`]\s{{0,4}}{_PROGRAM}(?:\s|$|`)",
        rf"\$\(\s{{0,4}}{_PROGRAM}\b",
        r"/bin/(?:ba)?sh\b",
        r"\bcmd(?:\.exe)?\s{0,4}/c\b",
    ),
    Attack.TRAVERSAL: (
        r"""(?:^|[/\\=:"'])\.\.(?:[/\\]|$)""",
        r"/etc/(?:passwd|shadow|hosts)\b",
        r"/proc/self/",
        r"\b(?:win|boot)\.ini\b",
        r"\bfile://",
    ),
}
_IN_PATHS = (
    r"/\.(?:env|git|svn|hg|aws|ssh|htaccess|htpasswd|ds_store|vscode|idea)\b",
    r"/(?:wp-(?:login|admin|content|includes|config|json)|xmlrpc|phpmyadmin|pma|phpinfo|adminer)\b",
    r"\.(?:php\d?|aspx?|jspx?|cgi)(?:$|[/?])",
    r"/(?:cgi-bin|server-status|actuator|jenkins|solr|boaform|hnap1|autodiscover|geoserver|vendor/phpunit)\b",
    r"\.(?:sql|bak|swp)(?:$|\?)",
)
_IN_USER_AGENTS = (
    r"\b(?:sqlmap|nikto|nessus|acunetix|nmap|masscan|zgrab|dirbuster|dirsearch|gobuster|feroxbuster)\b",
    r"\b(?:ffuf|wfuzz|wpscan|nuclei|hydra|w3af|openvas|arachni|havij|metasploit)\b",
)
_TOLD_WORDS = re.compile(
    r"drop|truncate|alter|delete|insert|union|select|update|exec|sleep|benchmark|waitfor"
    r"|script|iframe|svg|img|javascript|onerror|onload|cookie|jndi"
    r"|passwd|shadow|env|git|svn|htaccess|wp|php|phpmyadmin|actuator|cgi"
    r"|sqlmap|nikto|nessus|acunetix|nmap|masscan|zgrab|gobuster|ffuf|wpscan|nuclei|hydra",
    re.ASCII,
)


def _compiled(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.IGNORECASE | re.ASCII)


_INPUT = {attack: _compiled(patterns) for attack, patterns in _IN_INPUT.items()}
_TARGET = {**_INPUT, Attack.PROBE: _compiled(_IN_PATHS)}
_USER_AGENT = {Attack.PROBE: _compiled(_IN_USER_AGENTS)}


def find_in_input(texts: Iterable[str]) -> Signs:
    """What is tried with these texts, of each of which only the first 2,000 characters are looked at."""
    return _find(_INPUT, texts)


def find_in_request(target: str, user_agent: str) -> Signs:
    """What is tried by asking for this path and query, with this program."""
    return {**_find(_USER_AGENT, [user_agent]), **_find(_TARGET, [target])}


def _find(patterns: Mapping[Attack, re.Pattern[str]], texts: Iterable[str]) -> Signs:
    found: dict[Attack, set[str]] = {}
    for text in texts:
        for form in _forms(text[:MAX_LOOKED_AT]):
            for attack, pattern in patterns.items():
                for match in pattern.finditer(form):
                    found.setdefault(attack, set()).update(_TOLD_WORDS.findall(match[0].lower()))
    return {attack: tuple(sorted(words)) for attack, words in found.items()}


def _forms(text: str) -> set[str]:
    """The text as it came, and as programs that decode it would see it."""
    forms = {text}
    for _ in range(MAX_DECODINGS):
        if "%" not in text and "+" not in text:
            break
        text = unquote_plus(text)
        forms.add(text)
    return forms
