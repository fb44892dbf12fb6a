"""A machine for one cluster: namespaces of its own, a wire to the lab's bridge, and processes in them.

All its namespaces (network, mounts, processes, host name, IPC) hang on one idle process, its init. When that is
killed, the kernel ends everything inside: daemons, containers, mounts, links. Nothing of a machine has a
name outside except its cgroup and the near end of its wire, so nothing can be left behind unseen.
"""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.lab import cgroups
from tests.lab.proc import LabError, run, wait_for
from tests.lab.settings import ClusterSpec, Settings

# A private /run, /var/lib and /var/log: kubelet, containerd and CNI have fixed paths there, over which two
# clusters on one machine would fight. resolv.conf is empty, so that no name is asked of anyone outside.
# The loop is a reaping init: a shell collects every child that it inherits.
_INIT = """
set -e
disk=$1
resolv=$(readlink -f /etc/resolv.conf)
mkdir -p "$disk/lib" "$disk/log"
mount -t tmpfs -o mode=755 machine /run
mount --bind "$disk/lib" /var/lib
mount --bind "$disk/log" /var/log
mkdir -p /run/lock
: > /run/resolv.conf
mkdir -p "$(dirname "$resolv")"
[ -e "$resolv" ] || : > "$resolv"
mount --bind /run/resolv.conf "$resolv"
hostname "$2"
: > /run/booted
while :; do sleep 3600; done
"""


class Machine:
    """The place where the processes of one cluster live."""

    def __init__(self, settings: Settings, spec: ClusterSpec) -> None:
        self._settings = settings
        self._spec = spec
        self.touched = True  # whether anything was done on it; who has it as it should be says so with False

    @property
    def pid(self) -> int | None:
        """The machine's init as seen from outside, or None when the machine is off."""
        for pid in cgroups.processes(f"{self._spec.cgroup}/init"):
            try:
                status = Path(f"/proc/{pid}/status").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            ids = next((line.split()[1:] for line in status.splitlines() if line.startswith("NSpid:")), [])
            if len(ids) > 1 and ids[-1] == "1":
                return pid
        return None

    def boot(self) -> None:
        """Start the machine and wire it up. The bridge must exist."""
        spec = self._spec
        spec.logs.mkdir(parents=True, exist_ok=True)
        spec.disk.mkdir(parents=True, exist_ok=True)
        cgroups.create_everywhere(spec.pods_cgroup)
        unshare = ["setsid", "unshare", "--fork", "--kill-child", "--pid", "--mount-proc", "--net", "--mount"]
        unshare += ["--propagation", "slave", "--uts", "--ipc", "sh", "-c", _INIT, "machine-init"]
        self._launch("init", [*unshare, str(spec.disk), spec.node])
        wait_for(f"the machine of {spec.name} (see {spec.logs}/init.log)", self._booted, timeout=15, every=0.02)
        self._wire()

    def _booted(self) -> bool:
        pid = self.pid
        return pid is not None and Path(f"/proc/{pid}/root/run/booted").exists()

    def _wire(self) -> None:
        spec, lab = self._spec, self._settings
        run(["ip", "link", "add", spec.link, "type", "veth", "peer", "name", "eth0", "netns", str(self.pid)])
        run(["ip", "link", "set", spec.link, "master", lab.bridge, "up"])
        # Service addresses need a route before kube-proxy rewrites them; an empty bridge gives one (not every kernel
        # has dummy links). Everything else outside the lab is unreachable, and says so at once.
        self.run(
            [
                "sh",
                "-ec",
                f"""
                ip link set lo up
                ip address add {spec.address}/24 dev eth0
                ip link set eth0 up
                ip link add services type bridge
                ip link set services up
                ip route add {spec.service_cidr} dev services src {spec.address}
                ip route add unreachable default
                for key in net/ipv4/ip_forward net/bridge/bridge-nf-call-iptables; do
                    [ ! -e /proc/sys/$key ] || echo 1 > /proc/sys/$key
                done
                {_neighbourhood(spec)}
                """,
            ]
        )

    def _enter(self) -> list[str]:
        pid = self.pid
        if pid is None:
            raise LabError(f"the machine of {self._spec.name} is not running: `python -m tests.lab up`")
        return ["nsenter", "-t", str(pid), "-m", "-n", "-p", "-u", "-i", "--"]

    def run(self, argv: Sequence[str | Path], *, timeout: float = 60, check: bool = True) -> str:
        """Run a command inside and return its stdout."""
        self.touched = True
        return run([*self._enter(), *argv], timeout=timeout, check=check)

    def spawn(self, name: str, argv: Sequence[str | Path], env: dict[str, str] | None = None) -> None:
        """Start a daemon inside, in a cgroup of its own name; it outlives this process."""
        self.touched = True
        log = self._spec.logs / f"{name}.log"
        # Most of them are Go's, and start again with every reset: there is memory enough to collect garbage seldom.
        settings = [f"{key}={value}" for key, value in {"GOGC": "400", **(env or {})}.items()]
        command = shlex.join(["setsid", "env", *settings, *(str(a) for a in argv)])
        inside = f"{command} >>{shlex.quote(str(log))} 2>&1 </dev/null &"
        self._launch(name, [*self._enter(), "sh", "-c", inside], wait=True)

    def _launch(self, name: str, argv: list[str], *, wait: bool = False) -> None:
        """Run argv as a member of the cgroup `name`: it joins before it becomes argv, so nothing escapes."""
        member = cgroups.create(f"{self._spec.cgroup}/{name}")
        log = self._spec.logs / f"{name}.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                ["sh", "-c", f'echo $$ > {member} && exec "$@"', name, *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
            )
        if wait and process.wait(timeout=30):
            raise LabError(f"{self._spec.name}: {name} could not be started, see {log}")

    def alive(self, name: str) -> bool:
        """Whether the daemon of that name has a process."""
        return bool(cgroups.processes(f"{self._spec.cgroup}/{name}"))

    def stop(self, name: str) -> None:
        """Kill one daemon, as a crash would."""
        self.touched = True
        cgroups.kill(f"{self._spec.cgroup}/{name}")

    def off(self) -> None:
        """Pull the plug: every process, mount and link of the machine is gone when this returns."""
        spec = self._spec
        cgroups.kill(f"{spec.cgroup}/init")
        cgroups.kill(spec.cgroup)
        run(["ip", "link", "delete", spec.link], check=False)
        cgroups.remove(spec.cgroup)


def _neighbourhood(spec: ClusterSpec) -> str:
    """Routes to the pods of the clusters on the same network, whose packets keep their source.

    CNI masquerades all that leaves the node, by rules that it appends: a rule that is there first lets these pass.
    """
    lines = []
    for pods, node in spec.neighbours:
        lines.append(f"ip route add {pods} via {node}")
        lines.append(f"iptables --wait --table nat --append POSTROUTING -s {spec.pod_cidr} -d {pods} -j RETURN")
    return "\n".join(lines)
