"""curl with its options in a file: one GET to an API server."""

from __future__ import annotations

import json
import re
from urllib.parse import urlsplit

from wizard.clusters.port import Executed
from wizard.simulated import frontdoor, proxies
from wizard.simulated.machine import Machine

_REQUEST = 0.06  # seconds
_OPTION = re.compile(r'^([a-z-]+)(?:\s*=\s*("(?:[^"\\]|\\.)*"))?$', re.M)


def curl(machine: Machine, config: str, files: dict[str, str]) -> Executed:
    """What `curl -K -` prints from a Pod of this machine."""
    options = {name: json.loads(value) if value else "" for name, value in _OPTION.findall(config)}
    url = options.get("url", "")
    parts = urlsplit(url)
    name, port = parts.hostname or "", parts.port or 443
    # HOST1:PORT1:HOST2:PORT2
    moved = re.fullmatch(r"[^:]+:\d+:\[?(.+?)\]?:\d+", options.get("connect-to", ""))
    host = moved[1] if moved else name
    found = proxies.reach(machine, host, port)
    machine.pace.sleep(_REQUEST)
    if found.answer != "open":
        code, told = (7, "Could not connect to server") if found.answer == "refused" else (28, "Timeout was reached")
        answer = frontdoor.Answered(code, f"Failed to connect to {host} port {port}: {told}")
    elif not found.is_api:
        answer = frontdoor.Answered(35, f"OpenSSL SSL_connect: Connection reset by peer in connection to {host}:{port}")
    else:
        authority = None if "insecure" in options else files.get(options.get("cacert", ""), "")
        token = options.get("header", "").removeprefix("Authorization: Bearer ")
        place = url.replace(f"//{name}", f"//{host}", 1) if moved else url
        answer = frontdoor.ask(found, place, authority=authority, server_name=name if moved else "", token=token)
    values = {"exitcode": str(answer.code), "http_code": f"{answer.status:03}", "errormsg": answer.problem}
    return Executed(answer.body + written(options.get("write-out", ""), values), "", answer.code)


def written(form: str, values: dict[str, str]) -> str:
    """What curl's `-w` prints for this form."""
    return re.sub(r"%\{(\w+)\}", lambda name: values.get(name[1], ""), form).replace("\\n", "\n")
