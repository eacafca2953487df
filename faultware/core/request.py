"""One request, as far as rules can see it.

The adapters subclass `Request` so that nothing is decoded before a rule asks for it. Header values are Latin-1 text,
as HTTP has it (RFC 9110, section 5.5); query and cookie values are decoded as a framework would decode them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import parse_qsl, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Fields: TypeAlias = Mapping[str, tuple[str, ...]]

# A query with more fields than this is read no further: nobody needs them to match, and reading them costs time.
MAX_FIELDS = 1000

# What stands in a path as it is (RFC 3986, section 3.3); `quote` adds letters and digits.
SENT_AS_IT_IS: Final = "/-._~!$&'()*+,;=:@"


class Request:
    """A request described by values that are already at hand: for tests, for `explain`, and as the adapters' base.

    Args:
        method: In capitals, as on the wire.
        path: The path the application routes by: decoded, without the mount prefix and without the query.
        query_string: What follows the question mark, not decoded.
        headers: Name and value of each header line; a repeated header is given as several pairs.
        client: The address of the peer, without its port; empty when there is none.
        raw_path: The path as it was sent, with the mount prefix and not decoded; made from `path` when left out.
        scheme: `http` or `https`.
    """

    # Slots, since one of these is made for every request that a rule could match.
    __slots__ = (
        "_client",
        "_cookies",
        "_header_lines",
        "_headers",
        "_query",
        "_query_string",
        "_raw_path",
        "_raw_query",
        "_scheme",
        "method",
        "path",
    )

    def __init__(
        self,
        method: str = "GET",
        path: str = "/",
        *,
        query_string: str = "",
        headers: Iterable[tuple[str, str]] = (),
        client: str = "",
        raw_path: str = "",
        scheme: str = "http",
    ) -> None:
        self.method = method
        self.path = path
        self._query_string = query_string
        self._header_lines = headers
        self._client = client
        self._raw_path = raw_path
        self._scheme = scheme

    @property
    def query_string(self) -> str:
        """What follows the question mark, not decoded."""
        return self._query_string

    @property
    def client(self) -> str:
        """The peer's address, or an empty string."""
        return self._client

    @property
    def scheme(self) -> str:
        """The scheme by which the server was asked."""
        return self._scheme

    @property
    def raw_path(self) -> str:
        """The path as it was sent: not decoded, with the mount prefix, without the query; bytes as Latin-1."""
        return self._raw_path or as_sent(self.path)

    @property
    def target(self) -> str:
        """The request target as it was sent (RFC 9112, section 3.2), without scheme and authority.

        A question mark behind which nothing stands is lost: servers do not pass it on.
        """
        query_string = self.query_string
        return f"{self.raw_path}?{query_string}" if query_string else self.raw_path

    def header_lines(self) -> Iterable[tuple[str, str]]:
        """Every header line, in the order of the wire."""
        return self._header_lines

    def has_header(self, names: frozenset[str]) -> bool:
        """Whether there is a header of one of these names, given in lower case."""
        return not names.isdisjoint(self.headers)

    def header(self, name: str) -> tuple[str, ...]:
        """The lines of one header, whose name is given in lower case."""
        return self.headers.get(name, ())

    @property
    def headers(self) -> Fields:
        """Header lines by lower-case name."""
        try:
            return self._headers
        except AttributeError:
            self._headers: Fields = _gather((name.lower(), value) for name, value in self.header_lines())
        return self._headers

    @property
    def query(self) -> Fields:
        """Query fields by name, percent-decoded; a field without `=` is an empty string."""
        try:
            return self._query
        except AttributeError:
            pairs = self.query_string.split("&", MAX_FIELDS)[:MAX_FIELDS] if self.query_string else []
            self._query: Fields = _gather(parse_qsl("&".join(pairs), keep_blank_values=True, errors="replace"))
        return self._query

    @property
    def raw_query(self) -> Fields:
        """The first value of each query field, names and values as they were sent; without `=` it is empty."""
        try:
            return self._raw_query
        except AttributeError:
            pairs = [pair.partition("=") for pair in self.query_string.split("&", MAX_FIELDS)[:MAX_FIELDS] if pair]
            self._raw_query: Fields = {name: (value,) for name, _, value in reversed(pairs)}
        return self._raw_query

    @property
    def cookies(self) -> Fields:
        """Cookies by name (RFC 6265, section 4.2): quotes around a value are not part of it."""
        try:
            return self._cookies
        except AttributeError:
            crumbs = ";".join(self.header("cookie")).split(";", MAX_FIELDS)[:MAX_FIELDS]
            pairs = (crumb.partition("=") for crumb in crumbs if "=" in crumb)
            self._cookies: Fields = _gather((name.strip(), value.strip().strip('"')) for name, _, value in pairs)
        return self._cookies

    @property
    def host(self) -> str:
        """The name the client asked for: lower case, without port, trailing dot and the brackets of IPv6."""
        lines = self.header("host")
        if len(lines) != 1:
            return ""
        value = lines[0].strip().lower()
        if value.startswith("["):
            return value[1:].partition("]")[0]
        return value.partition(":")[0].rstrip(".")

    @property
    def is_preflight(self) -> bool:
        """Whether a browser asks for leave to send another request (Fetch, section 3.2.2)."""
        return self.method == "OPTIONS" and bool(self.header("access-control-request-method"))


def _gather(pairs: Iterable[tuple[str, str]]) -> Fields:
    gathered: dict[str, list[str]] = {}
    for name, value in pairs:
        gathered.setdefault(name, []).append(value)
    return {name: tuple(values) for name, values in gathered.items()}


def as_sent(path: str) -> str:
    """A decoded path as a client would have sent it."""
    return quote(path, safe=SENT_AS_IT_IS, errors="surrogatepass")


def path_of(target: str) -> str:
    """The path in a request target, which may be a whole URL (RFC 9112, section 3.2.2): without query and fragment."""
    path = target.partition("?")[0].partition("#")[0]
    scheme, _, rest = path.partition("://")
    return f"/{rest.partition('/')[2]}" if rest and "/" not in scheme else path
