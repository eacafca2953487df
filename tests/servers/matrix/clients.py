"""What popular clients make of a fault: a status, or the name of the error they raise."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import httpx2
import pycurl
import requests

if TYPE_CHECKING:
    from faultware.cli.trials import Trial

PATIENCE_SECONDS = 20.0


def httpx(url: str, trial: Trial, version: int) -> str:
    """HTTPX's successor: the status, or the class of the exception."""
    with httpx2.Client(http1=version == 1, http2=version == 2, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        try:
            return str(client.request(trial.method, url, headers=dict(trial.headers), content=trial.body).status_code)
        except httpx2.HTTPError as error:
            return type(error).__name__


def requests_(url: str, trial: Trial, version: int) -> str:
    """Requests: the status, or the class of the exception and of what it came from."""
    if version != 1:
        return "speaks no HTTP/2"
    with requests.Session() as session:
        session.trust_env = False
        try:
            reply = session.request(
                trial.method, url, headers=dict(trial.headers), data=trial.body, timeout=PATIENCE_SECONDS
            )
        except requests.RequestException as error:
            return f"{type(error).__name__} ({type(_origin(error)).__name__})"
        return str(reply.status_code)


def curl(url: str, trial: Trial, version: int) -> str:
    """libcurl: the status, or the number of the error."""
    handle = pycurl.Curl()
    try:
        handle.setopt(pycurl.URL, url)
        handle.setopt(pycurl.NOPROXY, "*")
        handle.setopt(pycurl.TIMEOUT, int(PATIENCE_SECONDS))
        handle.setopt(pycurl.NOSIGNAL, 1)
        if version == 2:
            handle.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE)
        handle.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in trial.headers.items()])
        if trial.body:
            handle.setopt(pycurl.POSTFIELDS, trial.body)
        handle.setopt(pycurl.WRITEDATA, io.BytesIO())
        handle.perform()
        return str(handle.getinfo(pycurl.RESPONSE_CODE))
    except pycurl.error as error:
        return f"error {error.args[0]}"
    finally:
        handle.close()


def _origin(error: BaseException) -> BaseException:
    """The exception at the bottom: urllib3 wraps them as arguments."""
    while True:
        inner = next((one for one in (*reversed(error.args), error.__cause__) if isinstance(one, BaseException)), None)
        if inner is None:
            return error
        error = inner
