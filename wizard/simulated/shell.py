"""The few commands that may be run in a simulated container."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from wizard.clusters.kinds import Object
from wizard.clusters.port import Executed
from wizard.simulated import configured, envoy, handshake, network, pages, policies, proxies, script
from wizard.simulated.machine import Machine
from wizard.simulated.pods import containers
from wizard.simulated.traffic import Traffic

_REQUEST = 0.06  # seconds that one answered request takes
_WITH_VALUE = {"-m", "--max-time", "--connect-timeout", "-o", "-w", "-H", "--retry", "--noproxy", "--connect-to"}
_HELLO = re.compile(r"http://helloworld\.([a-z0-9-]+)(?:\.svc(?:\.cluster\.local)?)?:5000/hello(.*)")
_PROBED = re.compile(r"https://.*")
_RANGE = re.compile(r"\[(\d+)-(\d+)\]")


class Shell:
    """Runs `curl` to the sample and to addresses, istiod's debug requests, proxies' admin requests, `openssl s_client`, and
    `echo`, `printf`, `head`, `sh`, `true`, `false`, `sleep`, `timeout`, `printenv`.
    """

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def run(
        self, machine: Machine, pod: Object, container: str, argv: list[str], seconds: float, stdin: str = ""
    ) -> Executed:
        """What the command prints, within that many (scaled) seconds. `stdin`: what it may read."""
        return self._run(machine, pod, container, argv, seconds, stdin, {})

    def _run(
        self, machine: Machine, pod: Object, container: str, argv: list[str], seconds: float, stdin: str,
        files: dict[str, str],
    ) -> Executed:  # fmt: skip
        def nested(words: list[str], given: str) -> Executed:
            return self._run(machine, pod, container, words, seconds, given, files)

        def limited() -> Executed:
            most = float(argv[1])
            done = self._run(machine, pod, container, argv[2:], min(most, seconds), stdin, files)
            return Executed(done.stdout, "", 124) if done.code < 0 and most <= seconds else done

        commands: dict[str, Callable[[], Executed]] = {
            "curl": lambda: (
                configured.curl(machine, stdin, files)
                if argv[1:] == ["-K", "-"]
                else self._curl(machine, pod, container, argv[1:], seconds)
            ),
            "echo": lambda: Executed(" ".join(argv[1:]) + "\n", "", 0),
            "printf": lambda: Executed(argv[2] if argv[1:2] == ["%s"] else "", "", 0),
            "head": lambda: Executed(stdin.encode()[: int(argv[2])].decode(errors="replace"), "", 0),
            "sh": lambda: script.run(*((argv[2], stdin) if argv[1:2] == ["-c"] else (stdin, "")), files, nested),
            "true": lambda: Executed("", "", 0),
            "false": lambda: Executed("", "", 1),
            "sleep": lambda: _sleep(machine, float(argv[1]), seconds),
            "printenv": lambda: _printenv(pod, container, argv[1:]),
            "timeout": limited,
            "openssl": lambda: handshake.openssl(machine, pod, argv[1:], seconds),
            "pilot-discovery": lambda: pages.requested(machine, argv[1:]),
            "pilot-agent": lambda: envoy.asked(self._traffic, machine, pod, container, argv[1:]),
        }
        name = (argv[0] if argv else "").rpartition("/")[2]
        if name not in commands:
            return Executed("", f'exec: "{name}": executable file not found in $PATH (simulated)\n', 127)
        return commands[name]()

    def _curl(
        self, machine: Machine, pod: Object, container: str, arguments: Sequence[str], seconds: float
    ) -> Executed:
        urls: list[str] = []
        options: dict[str, str] = {}
        words = iter(arguments)
        for word in words:
            if word in _WITH_VALUE:
                options[word] = next(words, "")
            elif not word.startswith("-"):
                urls.append(word)
        patience = float(options.get("-m") or options.get("--max-time") or seconds)
        if urls and all(_PROBED.fullmatch(url) for url in urls):
            connect = min(patience, float(options.get("--connect-timeout") or patience))
            spoken = any(re.fullmatch(r"-[a-zA-Z]*v[a-zA-Z]*", word) for word in arguments)
            if "--connect-to" in options:
                return handshake.curl(machine, pod, urls[0], options["--connect-to"], connect, spoken=spoken)
            return _probe(machine, pod, urls, connect, options.get("-w", ""), spoken=spoken)
        found = _HELLO.fullmatch(urls[0]) if urls else None
        if not found:
            host = re.sub(r"^\w+://|[:/?].*$", "", urls[0]) if urls else ""
            return Executed("", f"curl: (6) Could not resolve host: {host}\n", 6)
        # curl repeats the request for every number of the range itself.
        spread = _RANGE.search(found[2])
        count = int(spread[2]) - int(spread[1]) + 1 if spread else 1
        # What runs beside the proxy as its user is not captured by it.
        client = _uncaptured(pod) if container == network.SIDECAR else pod
        return self._ask(machine, client, found[1], count, patience, seconds, options.get("-w", ""))

    def _ask(
        self, machine: Machine, pod: Object, namespace: str, count: int, patience: float, seconds: float, form: str
    ) -> Executed:
        talk = self._traffic.conversation(machine, pod, namespace)
        if talk is None:
            host = f"helloworld.{namespace}"
            return Executed("", f"curl: (6) Could not resolve host: {host}\n" * count, 6)
        out, err, code, left = "", "", 0, seconds
        for _ in range(count):
            with machine.lock:
                turn = machine.turn
                machine.turn += 1
            outcome = talk.request(turn)
            took = _REQUEST + outcome.seconds if outcome.ends else patience
            machine.pace.sleep(min(took, patience, left))
            left -= min(took, patience)
            if left <= 0:
                return Executed(out, f"{err}\nno end within {seconds:.0f} s", -1)
            if outcome.ends and took <= patience:
                # Envoy ends what it says without a newline, and it is an answer to curl.
                out += outcome.out + configured.written(form, {"http_code": f"{outcome.status:03}"})
                err, code = err + (f"{outcome.problem}\n" if outcome.problem else ""), outcome.code
            else:
                err += (
                    f"curl: (28) Operation timed out after {int(patience * 1000)} milliseconds with 0 bytes received\n"
                )
                code = 28
        return Executed(out, err, code)


def _uncaptured(pod: Object) -> Object:
    """The Pod as if it had no sidecar."""
    others = {
        kind: [each for each in pod["spec"].get(kind) or [] if each["name"] != network.SIDECAR]
        for kind in ("initContainers", "containers")
    }
    return {**pod, "spec": {**pod["spec"], **others}}


def _probe(
    machine: Machine, pod: Object, urls: Sequence[str], connect: float, written: str, *, spoken: bool
) -> Executed:
    """Connections to addresses, all at once, with what curl says of each as `-w` asks for it. `spoken`: what `-v` adds."""
    out, err, code, took = "", "", 0, _REQUEST
    for url in urls:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 443
        found = proxies.reach(machine, host, port) if policies.lets_out(machine, pod, host, port) else network.SILENT
        told = {"url": url, "exitcode": "0", "time_connect": "0.001100", "errormsg": ""}
        if found.answer == "refused":
            told |= {"exitcode": "7", "time_connect": "0.000000"}
            told["errormsg"] = f"Failed to connect to {host} port {port} after 0 ms: Could not connect to server"
            err += f"* connect to {host} port {port} from 10.244.0.9 port 0 failed: Connection refused\n"
        elif found.answer == "silent":
            took = max(took, connect)
            told |= {"exitcode": "28", "time_connect": "0.000000"}
            told["errormsg"] = (
                f"Failed to connect to {host} port {port} after {int(connect * 1000) + 1} ms: Timeout was reached"
            )
        else:
            err += f"* Connected to {host} ({host}) port {port}\n"
            if not found.is_api:
                # A proxy that passes on by the name asked for was asked for none.
                told |= {"exitcode": "35", "time_connect": "0.000000"}
                told["errormsg"] = f"OpenSSL SSL_connect: Connection reset by peer in connection to {host}:{port}"
        code = int(told["exitcode"]) or code
        out += configured.written(written, told)
    machine.pace.sleep(took)
    return Executed(out, err if spoken else "", code)


def _sleep(machine: Machine, wanted: float, seconds: float) -> Executed:
    machine.pace.sleep(min(wanted, seconds))
    return Executed("", "", 0) if wanted <= seconds else Executed("", f"\nno end within {seconds:.0f} s", -1)


def _printenv(pod: Object, container: str, names: Sequence[str]) -> Executed:
    env = next((each.get("env") or [] for each in containers(pod) if each["name"] == container), [])
    values = {variable["name"]: str(variable.get("value", "")) for variable in env}
    if any(name not in values for name in names):
        return Executed("", "", 1)
    return Executed("".join(f"{values[name]}\n" for name in names), "", 0)
