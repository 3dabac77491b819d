# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The manager's HTTP API, as far as the add-on asks it by itself.

Every call blocks for at most its timeout a read and belongs in a thread. Answers are bounded. Redirects are refused: the
API has none, and one would carry the token to another host. Knows no Blender.
"""

import http.client
import json
import urllib.error
import urllib.request
from urllib.parse import quote, urljoin, urlsplit

from . import address

TIMEOUT = 10  # seconds without a byte
MOST_JSON = 16 << 20  # bytes
MOST_IMAGE = 32 << 20
MOST_JOBS = 200  # among which those of a file are looked for


class FarmError(Exception):
    """The manager did not do what was asked; the text says why and what to do."""


class NotFound(FarmError):
    """The manager does not know what was asked for."""


class Unreachable(FarmError):
    """The manager did not answer."""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        return None


class Farm:
    """One manager. `base` is a normalised address; `token` may be empty."""

    def __init__(self, base, token="", timeout=TIMEOUT):
        self.base = base
        self._token = token
        self._timeout = timeout
        handlers = [_NoRedirects()]
        self._proxy = "" if address.is_loopback(base) else _proxy_of(base)
        if not self._proxy:
            handlers.append(urllib.request.ProxyHandler({}))
        self._opener = urllib.request.build_opener(*handlers)

    def job_types(self):
        """Return the manager's job types as the API writes them."""
        return _member(self._json("/api/v3/jobs/types"), "job_types", list)

    def newest_jobs(self):
        """Return the manager's newest jobs, newest first."""
        return _member(self._json(f"/api/v3/jobs?limit={MOST_JOBS}"), "jobs", list)

    def job(self, job):
        return self._json("/api/v3/jobs/" + quote(job, safe=""))

    def version(self):
        return self._json("/api/v3/version")

    def downloads(self):
        """Return what the manager says of the programs that it serves."""
        return _member(self._json("/api/v3/downloads"), "files", list)

    def last_image(self, job):
        """Return the newest image of a job as JPEG bytes, or None if there is none yet."""
        found = self._json(f"/api/v3/jobs/{quote(job, safe='')}/last-rendered")
        if not found:
            return None
        suffixes = _member(found, "suffixes", list)
        small = [s for s in suffixes if "small" in s] or suffixes
        if not small:
            return None
        with self.open(_member(found, "base", str) + "/" + small[0]) as response:
            return _bounded(response, MOST_IMAGE)

    def open(self, path):
        """Open a path of the manager for reading; the caller closes it."""
        url = urljoin(self.base + "/", path.lstrip("/"))
        if urlsplit(url)[:2] != urlsplit(self.base)[:2]:
            raise FarmError(f"the manager at {self.base} points to another host: {path}")
        request = urllib.request.Request(url, headers={"User-Agent": "Hayloft (Blender add-on)", "Accept": "*/*"})
        if self._token:
            request.add_header("Authorization", "Bearer " + self._token)
        try:
            return self._opener.open(request, timeout=self._timeout)
        except urllib.error.HTTPError as error:
            with error:
                raise self._refusal(error, path) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error)
            reason = getattr(reason, "strerror", None) or reason or type(error).__name__
            raise Unreachable(
                f"the manager at {self.base} cannot be reached{self._by_proxy()} ({reason}); is it running, and is this its address?"
            ) from None

    def _json(self, path):
        try:
            with self.open(path) as response:
                if response.status == 204:
                    return None
                return json.loads(_bounded(response, MOST_JSON))
        except (OSError, http.client.HTTPException) as error:
            raise Unreachable(f"the manager at {self.base} stopped answering: {error or type(error).__name__}") from None
        except ValueError:
            raise FarmError(f"what answers at {self.base} is no Hayloft manager; check the address") from None

    def _by_proxy(self):
        return f" through the proxy {self._proxy}" if self._proxy else ""

    def _refusal(self, error, path):
        try:
            said = json.loads(error.read(64 << 10)).get("message", "")
        except (ValueError, AttributeError, OSError, http.client.HTTPException):
            said = ""
        if error.code in (407, 502, 504) and self._proxy and not said:
            return FarmError(f"the manager at {self.base} cannot be reached{self._by_proxy()}: {error.code} {error.reason}")
        if error.code in (401, 403):
            return FarmError(f"the manager wants a sign-in token; set it in the add-on's preferences ({said or error.code})")
        kind = NotFound if error.code == 404 else FarmError
        return kind(f"the manager refused {path}: {error.code} {said or error.reason}")


def _proxy_of(base):
    """Return the proxy that this computer's settings name for an address, without a password; empty if there is none."""
    parts = urlsplit(base)
    if urllib.request.proxy_bypass(parts.netloc):
        return ""
    return urllib.request.getproxies().get(parts.scheme, "").rpartition("@")[2]


def _bounded(response, most):
    body = response.read(most + 1)
    if len(body) > most:
        raise FarmError(f"the manager's answer has more than {most} bytes")
    return body


def _member(value, name, kind):
    found = value.get(name) if isinstance(value, dict) else None
    if not isinstance(found, kind):
        raise FarmError(f"the manager's answer lacks {name!r}; is it a Hayloft manager of this version?")
    return found
