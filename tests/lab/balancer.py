"""The load balancer of one cluster: what gives Services of type LoadBalancer an address, as a cloud would.

It runs as a process on the cluster's machine, `python -m tests.lab.balancer`. All it knows is in the cluster: it may be killed
and started at any time. The node itself holds the addresses. To an address given as such kube-proxy sends what arrives;
behind a name there is none that kube-proxy knew, so the balancer forwards to the NodePorts, as cloud load balancers do.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import time
from functools import partial
from pathlib import Path
from typing import Any

from tests.lab.api import Api

_EVERY = 0.25  # seconds between two looks
_DOMAIN = "lb.lab"  # the clusters' DNS answers A-B-C-D.lb.lab with A.B.C.D


def _address(service: dict[str, Any]) -> str | None:
    """The address that the Service has been given, by itself or in a name."""
    for entry in service.get("status", {}).get("loadBalancer", {}).get("ingress", []):
        return str(entry.get("ip") or entry.get("hostname", "").removesuffix(f".{_DOMAIN}").replace("-", "."))
    return None


def _ip(*words: str) -> None:
    subprocess.run(["ip", "address", *words, "dev", "eth0"], check=False)


class _Balancer:
    def __init__(self, api: Api, node: str, addresses: list[str], delay: float, *, hostname: bool) -> None:
        self._api = api
        self._node = node
        self._addresses = addresses
        self._delay = delay
        self._hostname = hostname
        self._since: dict[str, float] = {}
        self._listeners: dict[tuple[str, int, int], asyncio.Server] = {}

    async def run(self) -> None:
        """Look again and again; an API server that is away comes back."""
        for address in self._addresses:
            _ip("del", f"{address}/32")
        held: set[str] = set()
        while True:
            try:
                held = await self._look(held)
            except OSError as error:
                print(f"{time.strftime('%T')} {error}", flush=True)
            await asyncio.sleep(_EVERY)

    async def _look(self, held: set[str]) -> set[str]:
        """Bring the node's addresses in line with the Services; returns those that it holds now."""
        everything = (await asyncio.to_thread(self._api.get, "/api/v1/services"))["items"]
        services = [service for service in everything if service["spec"]["type"] == "LoadBalancer"]
        given = {service["metadata"]["uid"]: _address(service) for service in services}
        wanted = {address for address in given.values() if address in self._addresses}
        for address in held - wanted:
            _ip("del", f"{address}/32")
        for address in wanted - held:
            _ip("replace", f"{address}/32")
        await self._listen(services)
        self._since = {uid: self._since.get(uid, time.monotonic()) for uid in given}
        for service in services:
            uid = service["metadata"]["uid"]
            free = [address for address in self._addresses if address not in wanted]
            if not given[uid] and free and time.monotonic() - self._since[uid] >= self._delay:
                # The node has the address before anybody hears of it.
                _ip("replace", f"{free[0]}/32")
                wanted.add(free[0])
                await asyncio.to_thread(self._give, service, free[0])
        return wanted

    def _give(self, service: dict[str, Any], address: str) -> None:
        entry = {"hostname": f"{address.replace('.', '-')}.{_DOMAIN}"} if self._hostname else {"ip": address}
        name = f"{service['metadata']['namespace']}/services/{service['metadata']['name']}"
        self._api.merge(f"/api/v1/namespaces/{name}/status", {"status": {"loadBalancer": {"ingress": [entry]}}})
        print(f"{time.strftime('%T')} {name}: {entry}", flush=True)

    async def _listen(self, services: list[dict[str, Any]]) -> None:
        """Forward from every address behind a name to the Service's NodePorts."""
        wanted = {
            (str(_address(service)), port["port"], port["nodePort"])
            for service in services
            for entry in service["status"]["loadBalancer"].get("ingress", [])
            for port in service["spec"]["ports"]
            if entry.get("hostname", "").endswith(_DOMAIN) and port.get("nodePort")
        }
        for gone in self._listeners.keys() - wanted:
            self._listeners.pop(gone).close()
        for address, port, target in wanted - self._listeners.keys():
            server = await asyncio.start_server(partial(self._forward, port=target), address, port)
            self._listeners[address, port, target] = server

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        try:
            back, forth = await asyncio.open_connection(self._node, port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_pipe(reader, forth), _pipe(back, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


def main() -> None:
    """Run until killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.lab.balancer")
    parser.add_argument("--server", required=True)
    parser.add_argument("--pki", type=Path, required=True)
    parser.add_argument("--node", required=True, help="the node's own address")
    parser.add_argument("--addresses", required=True, help="what may be given away, separated by commas")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before a Service gets its address")
    parser.add_argument("--hostname", action="store_true", help="give names instead of addresses")
    asked = parser.parse_args()
    api = Api(asked.server, asked.pki)
    balancer = _Balancer(api, asked.node, asked.addresses.split(","), asked.delay, hostname=asked.hostname)
    asyncio.run(balancer.run())


if __name__ == "__main__":
    main()
