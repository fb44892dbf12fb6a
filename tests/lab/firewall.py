"""A firewall before a node: it acts on what arrives from the lab's wire, before kube-proxy rewrites where it goes."""

from __future__ import annotations

from tests.lab.machine import Machine

# kube-proxy uses the bits 0x4000 and 0x8000.
_MARK = "0x10/0x10"
_TABLE = "iptables --wait --table"


def close(machine: Machine, port: int, source: str, *, reject: bool) -> None:
    """Stop TCP to `port`, whoever would answer it, new and open connections alike.

    `source` is iptables' own match, `-s ADDRESS[,ADDRESS]` or its contrary. `reject`: the other side hears a reset; else nothing.
    """
    # REJECT exists only where a packet's way is decided already, after the rewriting of its port: so it goes by a mark.
    end = f"MARK --set-xmark {_MARK}" if reject else "DROP"
    script = f"{_TABLE} mangle -A PREROUTING -i eth0 -p tcp --dport {port} {source} -j {end}\n"
    if reject:
        rule = f"-p tcp -m mark --mark {_MARK} -j REJECT --reject-with tcp-reset"
        for chain in ("INPUT", "FORWARD"):
            script += f"{_TABLE} filter -C {chain} {rule} 2>&- || {_TABLE} filter -I {chain} {rule}\n"
    machine.run(["sh", "-ec", script])


def open_all(machine: Machine) -> None:
    """Let everything pass again."""
    machine.run(["sh", "-ec", f"{_TABLE} mangle -F PREROUTING"])
