"""HTTP to Airflow: one session, bounded retries, one place where foreign errors become ours.

Must stay true: a POST that may have arrived is never sent again; no secret is in a message, a repr or a log line.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import Any, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

import requests  # noqa: TID253 - doors import this module lazily
from requests.adapters import HTTPAdapter  # noqa: TID253 - as above
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ReadTimeoutError
from urllib3.util import Retry

from airflow_agentfix.errors import (
    AgentFixError,
    AirflowConflict,
    AirflowError,
    AirflowForbidden,
    AirflowLoginRefused,
    AirflowNotFound,
    AirflowRefused,
    AirflowUnreachable,
    ConfigurationError,
)

log = logging.getLogger(__name__)

ErrorFrom = Callable[[requests.Response], AgentFixError | None]

MAX_LINE = 4_000_000
"""as much of one event as `core.log_lines` parses"""
_TAIL = 64 << 10
_CHUNK = 64 << 10
_DETAIL_CHARS = 600
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_AGAIN = frozenset({429, 500, 502, 503, 504})
_AGAIN_WRITING = frozenset({429, 503})
_RETRY_AFTER_MAX = 20.0
_WHERE = "Is its API server up, and is this its address (AGENTFIX_AIRFLOW_URL, else the connection's host, else [api] base_url)?"
_ADVICE: Mapping[type[AirflowError], str] = {
    AirflowLoginRefused: "Check the login: agentfix doctor.",
    AirflowForbidden: "The login is valid but lacks this right: give it to its role.",
    AirflowUnreachable: "The API server's log says why; try again.",
}
_BY_STATUS: Mapping[int, type[AirflowError]] = {
    401: AirflowLoginRefused,
    403: AirflowForbidden,
    404: AirflowNotFound,
    409: AirflowConflict,
    429: AirflowUnreachable,
}


class TokenSource(Protocol):
    """Where the bearer token comes from. Both raise `AirflowLoginRefused` or `AirflowUnreachable`."""

    def current(self) -> str:
        """The token to send now, renewed if it is about to expire."""

    def renew(self, refused: str) -> str:
        """Another token, after Airflow answered 401 to `refused`."""


class BoundedRetry(Retry):
    """urllib3's Retry, telling reads from writes, and with a cap on what a server may ask us to wait."""

    def is_retry(self, method: str, status_code: int, has_retry_after: bool = False) -> bool:  # noqa: ARG002 - urllib3's signature
        again = _AGAIN if method.upper() in _READING else _AGAIN_WRITING
        return bool(self.total) and status_code in again

    def get_retry_after(self, response: Any) -> float | None:
        wait = super().get_retry_after(response)
        return None if wait is None else min(wait, _RETRY_AFTER_MAX)


def retrying_session(retries: int) -> requests.Session:
    """A session that retries reads on 429, 5xx and broken connections, writes only where nothing can have happened."""
    retry = BoundedRetry(
        total=retries,
        read=min(retries, 1),  # each may take the whole timeout
        allowed_methods=_READING,
        backoff_factor=0.3,
        backoff_max=5.0,
        backoff_jitter=0.3,
        raise_on_status=False,
        redirect=False,
    )
    session = requests.Session()
    session.mount("http://", HTTPAdapter(max_retries=retry))
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # a cookie would outlive the token it came with
    return session


class AirflowHttp:
    """Requests to one Airflow, logged in. `timeout` bounds connecting, and every wait for bytes, in seconds."""

    def __init__(
        self,
        base_url: str,
        auth: TokenSource,
        *,
        timeout: float = 30.0,
        retries: int = 3,
        session: requests.Session | None = None,
    ) -> None:
        self.base_url = checked_base_url(base_url)
        self._auth = auth
        self._timeout = (min(timeout, 10.0), timeout)
        self._session = session or retrying_session(retries)

    def __repr__(self) -> str:
        return f"AirflowHttp({self.base_url!r}, auth=***)"

    def json(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        error_from: ErrorFrom | None = None,
    ) -> Any:
        """The answer's JSON, None for an empty one. `error_from` may turn an error answer into an error of its own."""
        with self.open(method, path, body=body, params=params, error_from=error_from) as response:
            return json_of(response)

    def stream(
        self, method: str, path: str, *, params: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
    ) -> Iterator[bytes]:
        """The answer line by line, never held whole; a line over `MAX_LINE` bytes comes cut, with a mark where."""
        with self.open(method, path, params=params, headers=headers) as response:
            yield from lines_of(response)

    @contextmanager
    def open(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        error_from: ErrorFrom | None = None,
    ) -> Iterator[requests.Response]:
        """The answer with its body unread; an answer that is not success raises. A refused token is renewed once."""
        with mapped_errors(self.base_url):
            response = self._send_logged_in(method, path, body=body, params=params, headers=headers)
            with response:
                if response.ok and not response.is_redirect:
                    yield response
                    return
                raise (error_from and error_from(response)) or error_of(response)

    def _send_logged_in(self, method: str, path: str, **request: Any) -> requests.Response:
        token = self._auth.current()
        response = self._send(method, path, token, **request)
        if not is_login_refusal(response):
            return response
        response.close()
        log.debug("Airflow at %s refused the token; renewing it", self.base_url)
        return self._send(method, path, self._auth.renew(token), **request)

    def _send(
        self,
        method: str,
        path: str,
        token: str,
        *,
        body: Any,
        params: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None,
    ) -> requests.Response:
        return self._session.request(
            method,
            self.base_url + path,
            json=body,
            params=params,
            headers=dict(headers or {}),
            auth=_Bearer(token),
            timeout=self._timeout,
            allow_redirects=False,  # a redirected POST becomes a GET, and the token would travel
            stream=True,
        )


class _Bearer(requests.auth.AuthBase):
    """Sent as `auth`, not as a header, or a .netrc entry for the host would replace it."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


def path_of(fixed: str, *parts: str | int) -> str:
    """`fixed` as it is, then each part quoted: run ids hold colons, plus signs and sometimes slashes."""
    return fixed + "".join("/" + _quoted(str(part)) for part in parts)


def _quoted(part: str) -> str:
    """Quoted so that `.` and `..` stay a segment and do not climb."""
    return part.replace(".", "%2E") if part in (".", "..") else quote(part, safe="")


def checked_base_url(url: str) -> str:
    """The base URL without credentials, query and trailing slash; ConfigurationError if it is none."""
    parts = urlsplit(url.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigurationError(f"Airflow's URL is {url!r}; expected http(s)://host[:port][/base path].")
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path.rstrip("/"), "", ""))


def json_of(response: requests.Response) -> Any:
    """The body as JSON; AirflowRefused when it is something else, as behind a proxy with its own login page."""
    if not response.content:
        return None
    try:
        return response.json()
    except requests.exceptions.JSONDecodeError as error:
        kind = response.headers.get("Content-Type", "no content type")
        raise AirflowRefused(
            f"{_asked(response)}: {response.status_code} with {kind}, expected JSON. Is the URL Airflow's, base path included?"
        ) from error


def head_of(response: requests.Response, limit: int) -> tuple[str, bool]:
    """The body as text, as much of it as `limit` bytes and the chunk they end in; and whether that is the whole."""
    read = bytearray()
    for chunk in response.iter_content(_CHUNK):
        read += chunk
        if len(read) > limit:
            return read.decode(errors="replace"), False
    return read.decode(errors="replace"), True


def lines_of(response: requests.Response) -> Iterator[bytes]:
    """The body's lines, without their ends, each in bounded memory."""
    line = _Line()
    for chunk in response.iter_content(_CHUNK):
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            line.add(part)
            yield line.text()
            line = _Line()
        line.add(rest)
    if line.size:
        yield line.text()


class _Line:
    """One line as it grows: its head, and once it is too long only its tail beside it."""

    def __init__(self) -> None:
        self.size = 0
        self._head = bytearray()
        self._tail = bytearray()

    def add(self, part: bytes) -> None:
        self.size += len(part)
        room = MAX_LINE - _TAIL - len(self._head)
        self._head += part[:room]
        self._tail += part[room:]
        if len(self._tail) > 2 * _TAIL:
            del self._tail[:-_TAIL]

    def text(self) -> bytes:
        tail = self._tail[-_TAIL:]
        cut = self.size - len(self._head) - len(tail)
        mark = b" ...[%d bytes of this line cut]... " % cut if cut else b""
        return bytes(self._head + mark + tail).removesuffix(b"\r")


@contextmanager
def mapped_errors(base_url: str) -> Iterator[None]:
    """Errors of requests become ours."""
    try:
        yield
    except requests.exceptions.InvalidURL as error:
        raise ConfigurationError(f"Airflow's URL is {base_url!r}; expected http(s)://host[:port][/base path].") from error
    except requests.exceptions.SSLError as error:
        why = _words(_innermost(error))
        raise AirflowUnreachable(
            f"No safe connection to Airflow at {base_url}: {why}. REQUESTS_CA_BUNDLE names your CA."
        ) from error
    except requests.RequestException as error:
        inner = _innermost(error)
        what = "did not answer in time" if _is_timeout(inner) else "is not reachable"
        raise AirflowUnreachable(f"Airflow at {base_url} {what}: {_words(inner)}. {_WHERE}") from error


def error_of(response: requests.Response) -> AirflowError:
    """Our error for an answer that is not success, with Airflow's own words."""
    status = 401 if is_login_refusal(response) else response.status_code
    kind = _BY_STATUS.get(status) or (AirflowUnreachable if status >= 500 else AirflowRefused)
    if response.is_redirect:
        words = f"redirected to {response.headers.get('Location')!r}; set Airflow's URL to where it really is"
    else:
        words = detail_of(response) or response.reason or "no reason given"
    advice = _ADVICE.get(kind, "")
    return kind(f"{_asked(response)}: {response.status_code} {words}{f'. {advice}' if advice else ''}")


def is_login_refusal(response: requests.Response) -> bool:
    """401; and 403 with these words, which is what Airflow says of a token signed with a key it no longer has."""
    return response.status_code == 401 or (response.status_code == 403 and detail_of(response) == "Invalid JWT token")


def detail_of(response: requests.Response) -> str:
    """Airflow's `detail`: a text, a dict with reason and message, or pydantic's list; the session API's own error; else the
    start of a text body."""
    try:
        answer = response.json()
    except requests.exceptions.JSONDecodeError:
        return "" if "html" in response.headers.get("Content-Type", "") else response.text[:_DETAIL_CHARS].strip()
    detail = answer.get("detail", answer) if isinstance(answer, dict) else answer
    if isinstance(detail, dict) and isinstance(detail.get("error"), dict):
        detail = detail["error"].get("message")
    if isinstance(detail, list):
        detail = "; ".join(_field_error(entry) for entry in detail)
    elif isinstance(detail, dict):
        detail = "; ".join(f"{key}: {value}" for key, value in detail.items() if key != "orig_error")
    return str(detail)[:_DETAIL_CHARS]


def _field_error(entry: Any) -> str:
    if not isinstance(entry, dict):
        return str(entry)
    return f"{'.'.join(map(str, entry.get('loc', ())))}: {entry.get('msg', entry)}"


def _asked(response: requests.Response) -> str:
    parts = urlsplit(response.url)
    return f"{response.request.method} {parts.scheme}://{parts.netloc}{parts.path}"


def _innermost(error: BaseException) -> BaseException:
    """What requests and urllib3 wrapped, two or three deep."""
    inner = getattr(error, "reason", None) or next(iter(error.args), None)
    return _innermost(inner) if isinstance(inner, BaseException) else error


def _is_timeout(error: BaseException) -> bool:
    """urllib3 calls a refused connection a timeout too."""
    timeouts = (requests.Timeout, TimeoutError, ConnectTimeoutError, ReadTimeoutError)
    return isinstance(error, timeouts) and not isinstance(error, NewConnectionError)


def _words(error: BaseException) -> str:
    """Without the objects that urllib3 puts in front."""
    return (
        re.sub(r"<[\w.]+ object at 0x[0-9a-f]+>:? ?|HTTPS?Connection\w*\(.*?\): ", "", str(error)).strip(" .")
        or type(error).__name__
    )
