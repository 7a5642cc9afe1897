"""`DATABASE_URL`: what it may say, and as whom it connects."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")

_SCHEMES = ("postgresql", "postgres")
_FILES = ("sslrootcert", "sslcert", "sslkey", "sslcrl", "passfile")
_TAKEN = {
    *("host", "port", "dbname", "user", "password", "sslmode", "target_session_attrs", "service"),
    *("sslpassword", "sslnegotiation", "ssl_min_protocol_version", "ssl_max_protocol_version"),
    *("krbsrvname", "gsslib"),
    *_FILES,
}
_SECRET = ("user", "password", "passfile", "sslpassword")


def checked(url: str) -> str:
    """`url` as every user of it takes it, in the form that `psql` takes too. Raises ValueError,
    which says what is wrong and repeats no secret."""
    scheme, separator, rest = url.partition("://")
    if not separator or scheme.partition("+")[0] not in _SCHEMES:
        raise ValueError("it must begin with postgresql://")
    parts = urlsplit(f"postgresql://{rest}")
    if "#" in rest or rest.count("@") > 1 or "@" in parts.path + parts.query:
        raise ValueError("in a name or password write # as %23, / as %2F, ? as %3F, @ as %40")
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _TAKEN:
            raise ValueError(f"the parameter {name} is not known; leave it out")
        if name == "sslmode" and value not in SSL_MODES:
            raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")
        if name in _FILES and not Path(value).is_file():
            raise ValueError(f"{name} must name a file that can be read on this machine")
    return f"postgresql://{rest}"


def as_role(url: str, role: str, password: str | None) -> str:
    """`url` for another role: whatever tells of the first one is gone."""
    user = quote(role, safe="") + (f":{quote(password, safe='')}" if password else "")
    return _rebuilt(urlsplit(url), f"{user}@")


def without_secrets(url: str) -> str:
    """`url` as it may be shown: where it leads, and as nobody."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    return _rebuilt(parts, f"{quote(unquote(user), safe='')}@" if user else "")


def _rebuilt(parts: SplitResult, who: str) -> str:
    query = [pair for pair in parse_qsl(parts.query) if pair[0] not in _SECRET]
    location = parts.netloc.rpartition("@")[2]
    asked = f"?{urlencode(query, safe='/:,')}" if query else ""
    return f"{parts.scheme}://{who}{location}{parts.path}{asked}"
