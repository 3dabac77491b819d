# SPDX-FileCopyrightText: The Hayloft authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Finding a manager on the local network by SSDP (UPnP Device Architecture 1.1, section 1.3). Knows no Blender."""

import contextlib
import socket
import time
from urllib.parse import urlsplit

_GROUP = ("239.255.255.250", 1900)
_SERVICE = "urn:flamenco:manager:0"
_DEVICE = "uuid:aa80bc5f-d0af-46b8-8630-23bd7e80ec4d"
_WAIT = 3  # seconds; also what answers are spread over
_MOST = 32  # answers


def search(wait=_WAIT):
    """Return the base URLs that managers answered with, each a claim that the caller must check."""
    question = "\r\n".join(
        ("M-SEARCH * HTTP/1.1", f"HOST: {_GROUP[0]}:{_GROUP[1]}", 'MAN: "ssdp:discover"', "MX: 1", f"ST: {_SERVICE}", "", "")
    ).encode()
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 2)
        for own in _own_addresses():
            with contextlib.suppress(OSError):  # A network may be down, or forbid many receivers.
                asker.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(own))
                asker.sendto(question, _GROUP)
        end = time.monotonic() + wait
        while len(found) < _MOST:
            left = end - time.monotonic()
            if left <= 0:
                break
            asker.settimeout(left)
            try:
                answer = asker.recv(4096)
            except socket.timeout:
                break
            base = location(answer)
            if base and base not in found:
                found.append(base)
    return found


def _own_addresses():
    """Return addresses of this machine's networks: the default one's, loopback, and what its name stands for."""
    found = ["0.0.0.0", "127.0.0.1"]
    with contextlib.suppress(OSError):
        found += [at[4][0] for at in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET, socket.SOCK_DGRAM)]
    return list(dict.fromkeys(found))


def location(answer):
    """Return the base URL in one answer, or an empty text if it is no manager's."""
    lines = answer.decode("latin-1").split("\r\n")
    fields = dict(line.split(":", 1) for line in lines[1:] if ":" in line)
    fields = {name.strip().upper(): text.strip() for name, text in fields.items()}
    if not lines[0].startswith("HTTP/1.1 200") or not fields.get("USN", "").startswith(_DEVICE):
        return ""
    parts = urlsplit(fields.get("LOCATION", ""))
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return ""
    return f"{parts.scheme}://{parts.netloc}"
