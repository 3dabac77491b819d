# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses of managers: what people type, and what is built from it. Knows no network and no Blender."""

import ipaddress
from urllib.parse import quote, urlsplit

DEFAULT = "http://127.0.0.1:8080"


def normalise(text):
    """Return the base URL that a person means, without a slash at its end. ValueError says what is wrong with it."""
    text = text.strip()
    if not text:
        raise ValueError("no manager address is set: type it in the add-on's preferences")
    if "://" not in text:
        text = "http://" + text
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"{text} has no valid port") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{text} is no address of a manager; it looks like http://farm:8080")
    if parts.username or parts.query or parts.fragment:
        raise ValueError("an address of a manager is a host and a port; the token has a field of its own")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    path = parts.path.rstrip("/")
    if path == "/app":
        path = ""
    return f"{parts.scheme}://{host}{f':{port}' if port else ''}{path}"


def is_nearby(base):
    """Tell whether an address lies on this machine or in its own network, by its spelling alone."""
    host = urlsplit(base).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith((".local", ".lan", ".internal", ".home.arpa"))
    return address.is_private or address.is_loopback or address.is_link_local


def is_loopback(base):
    """Tell whether an address is one of this machine's own."""
    host = urlsplit(base).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def job_page(base, job):
    """Return the address of a job's page."""
    return f"{base}/app/jobs/{quote(job, safe='')}"
