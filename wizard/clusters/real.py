"""A real cluster, asked over its API server's HTTP interface, through the official client's reading of a kubeconfig.

Objects stay plain dictionaries: server-side apply sends just the fields we mean, and no typed model may add to them.
"""

from __future__ import annotations

import json
import math
import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote, urlencode

from urllib3 import HTTPHeaderDict

from wizard.clusters import changing
from wizard.clusters.answers import (
    Asked,
    Gone,
    Missing,
    TooLarge,
    decoded,
    misshapen,
    no_answer,
    object_in,
    objects_in,
    refusal,
    too_large,
)
from wizard.clusters.bounds import MAX_LIST, PAGES, size
from wizard.clusters.kinds import NAMESPACE, SECRET, Kind, Object, Ref, ref_of
from wizard.clusters.login import Chosen, Login, chosen, login, problem_of
from wizard.clusters.patience import PATIENT, Attempts, Failure, Patience, failure_of, moment, retry_after
from wizard.clusters.port import MANAGER, Executed, Outdated, Right, ServerVersion
from wizard.clusters.served import served
from wizard.clusters.shapes import REVIEW, VERSION
from wizard.clusters.wire import Answer, NoAnswer, Wire
from wizard.credentials import hold_secret
from wizard.errors import Failed, NotKnown, Trouble
from wizard.text import one_line, printable

R = TypeVar("R", Answer, Answer | Executed)
T = TypeVar("T")
RELISTS = 3  # times that a list is begun anew because its rest was forgotten


class RealCluster:
    """One kubeconfig context. Implements `wizard.clusters.port.Cluster`; connects at the first call."""

    def __init__(self, name: str, kubeconfig: Path | None, context: str, patience: Patience = PATIENT) -> None:
        self.name = name
        self._kubeconfig = kubeconfig
        self._context = context
        self._patience = patience
        self._lock = threading.Lock()
        self._chosen: Chosen | None = None
        self._logged_in: tuple[Login, Wire] | None = None
        self._unmet: tuple[NoAnswer, float] | None = (
            None  # why there was no connection lately, and when that was given up
        )
        self._doubtful = (
            False  # whether the credentials were read anew because they were refused, and not accepted since
        )
        self._refused: tuple[Trouble, float] | None = (
            None  # why there are no good credentials, and until when that is believed
        )
        self._served: dict[Kind, Kind] = {}  # a kind → the same in the version in which it is found here

    @property
    def server(self) -> str:
        with self._lock:
            return self._choose().server

    @property
    def verified(self) -> bool:
        with self._lock:
            return self._choose().verified

    def version(self) -> ServerVersion:
        asked = self._asked("ask for its version")
        answer = self._ask(asked, "GET", "/version")
        body = decoded(asked, answer, VERSION)
        numbers = [re.fullmatch(r"v?(\d{1,4})\D*", body.get(field) or "0") for field in ("major", "minor")]
        if None in numbers:
            raise misshapen(asked, "major and minor of its version must be numbers")
        major, minor = (int(number[1]) for number in numbers if number)
        return ServerVersion(
            one_line(body.get("gitVersion", "")), major or 1, minor, moment(answer.headers.get("Date")), answer.seconds
        )

    def identity(self) -> str:
        found = self.get(Ref(NAMESPACE, "kube-system"))
        if found is None:
            raise Failed(f"{self.name} has no namespace kube-system", "Is this a Kubernetes cluster?")
        return str(found["metadata"]["uid"])

    def get(self, ref: Ref) -> Object | None:
        asked = self._asked(f"get {ref}")

        def look(kind: Kind) -> Object:
            return object_in(asked, self._ask(asked, "GET", _path(kind, ref.namespace, ref.name)), kind)

        try:
            found = self._as_served(ref.kind, look)
        except Missing:
            return None
        if ref.kind is SECRET:
            hold_secret(found)
        return found

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        self._asked(f"list {kind.resource}")  # reads the kubeconfig, before time counts
        until = self._until_many()
        for last in (False,) * RELISTS + (True,):
            try:
                return self._as_served(kind, lambda each: self._list(each, namespace, labels, until))
            except Missing:
                return []
            except Gone:
                # The rest of the list is forgotten; what was read of it may be no more.
                if last:
                    raise
        raise AssertionError

    def _list(self, kind: Kind, namespace: str, labels: str, until: float) -> list[Object]:
        asked = self._asked(f"list {kind.resource}")
        found: list[Object] = []
        token, taken, pages = "", 0, list(PAGES)
        while True:
            query = (
                {"limit": str(pages[0])}
                | ({"labelSelector": labels} if labels else {})
                | ({"continue": token} if token else {})
            )
            try:
                answer = self._ask(asked, "GET", _path(kind, namespace), query, until=until)
                page, token = objects_in(asked, answer, kind)
            except TooLarge:
                # Where objects are large, fewer of them may be taken in.
                if len(pages) == 1:
                    raise
                del pages[0]
                continue
            if found or token:  # a list of one page is bounded by itself
                taken += size(page)
                if taken > MAX_LIST:
                    raise too_large(asked, f"there are so many that they come to more than {MAX_LIST >> 20} MiB")
            found += page
            if not token:
                for each in found if kind is SECRET else ():
                    hold_secret(each)
                return found

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        ref = ref_of(manifest)
        query = {"fieldManager": MANAGER, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        asked = self._asked(f"apply {ref}", mutating=not dry_run)
        return self._write(
            asked, "PATCH", _path(ref.kind, ref.namespace, ref.name), query, manifest, "application/apply-patch+yaml",
            repeatable=True, stored=not dry_run,
        )  # fmt: skip

    def create(self, manifest: Object) -> Object:
        ref = ref_of(manifest)
        asked = self._asked(f"create {ref}", mutating=True)
        return self._write(asked, "POST", _path(ref.kind, ref.namespace), {"fieldManager": MANAGER}, manifest)

    def replace(self, manifest: Object) -> Object:
        ref = ref_of(manifest)
        asked = self._asked(f"replace {ref}", mutating=True)
        path = _path(ref.kind, ref.namespace, ref.name)
        try:
            return object_in(asked, self._ask(asked, "PUT", path, {"fieldManager": MANAGER}, manifest), ref.kind)
        except Missing as missing:
            raise Outdated(f"{self.name}: replace {ref}: it is gone", "") from missing

    def _write(
        self, asked: Asked, method: str, path: str, query: dict[str, str], manifest: Object,
        content_type: str = "application/json", *, repeatable: bool = False, stored: bool = True,
    ) -> Object:  # fmt: skip
        try:
            answer = self._ask(asked, method, path, query, manifest, content_type, repeatable=repeatable)
            return object_in(asked, answer, ref_of(manifest).kind, stored=stored)
        except Missing as missing:
            raise Failed(f"{self.name}: {ref_of(manifest)} cannot be made: {missing.told}", "") from missing

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        expected = {"uid": uid, "resourceVersion": version}
        if any(expected.values()):
            body["preconditions"] = {field: value for field, value in expected.items() if value}
        asked = self._asked(f"delete {ref}", mutating=True)
        # Without its UID, the second request could hit one that was made since; with a version it could miss what the first did.
        repeatable = bool(uid) and not version

        def delete(kind: Kind) -> None:
            path = _path(kind, ref.namespace, ref.name)
            decoded(asked, self._ask(asked, "DELETE", path, body=body, repeatable=repeatable), {})

        try:
            self._as_served(ref.kind, delete)
        except Missing as missing:
            return missing.unsure  # then it was there, and an earlier request took it
        return True

    def denied(self, rights: Sequence[Right]) -> list[Right]:
        asked, until = self._asked("review access"), self._until_many()

        def may(verb: str, group: str, resource: str, subresource: str = "", namespace: str = "") -> bool:
            attributes = {
                "verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": namespace,
            }  # fmt: skip
            review: Object = {
                "apiVersion": "authorization.k8s.io/v1",
                "kind": "SelfSubjectAccessReview",
                "spec": {"resourceAttributes": attributes},
            }
            path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
            body = decoded(asked, self._ask(asked, "POST", path, body=review, repeatable=True, until=until), REVIEW)
            return bool((body.get("status") or {}).get("allowed"))

        # Most who install a mesh may do everything: one question in place of thirty.
        if len(rights) > 1 and may("*", "*", "*"):
            return []
        return [
            right
            for right in rights
            if not may(right.verb, right.kind.group, right.kind.plural, right.subresource, right.namespace)
        ]

    def execute(self, pod: Ref, container: str, argv: Sequence[str], *, seconds: float, stdin: str = "") -> Executed:
        from wizard.clusters.command import execute, query_of

        asked = self._asked(f"run a command in {pod}")
        path = f"{_path(pod.kind, pod.namespace, pod.name)}/exec?{query_of(container, argv, stdin=bool(stdin))}"

        def send(who: Login, wire: Wire, attempts: Attempts) -> Answer | Executed:
            return execute(
                wire, path, who.headers, connect=attempts.connect, until=attempts.until, seconds=seconds, stdin=stdin.encode()
            )  # fmt: skip

        try:
            done = self._until_answered(asked, send, repeatable=False)
        except Missing as missing:
            raise Failed(f"{self.name}: no command could be run in {pod}: {missing.told}", "") from missing
        return cast(Executed, done)  # an answer that is none of that was an error, and raised

    def logs(self, pod: Ref, container: str, *, lines: int = 20, previous: bool = False) -> str:
        query = {"container": container, "tailLines": str(lines), "limitBytes": "65536"}
        query |= {"previous": "true"} if previous else {}
        try:
            answer = self._ask(
                self._asked(f"read the logs of {pod}"), "GET", f"{_path(pod.kind, pod.namespace, pod.name)}/log", query
            )
        except Failed:
            return ""
        return printable(answer.data.decode(errors="replace"))

    def close(self) -> None:
        with self._lock:
            self._drop()
            self._chosen = None

    # -- who we are there

    def _choose(self) -> Chosen:
        if self._chosen is None:
            with problem_of(self.name, self._kubeconfig, self._context):
                self._chosen = chosen(self.name, self._kubeconfig, self._context)
        return self._chosen

    def _drop(self) -> None:
        if self._logged_in is not None:
            self._logged_in[1].close()
        self._logged_in = None

    def _connected(self) -> tuple[Login, Wire]:
        with self._lock:
            if self._logged_in is not None and time.monotonic() >= self._logged_in[0].renew:
                self._drop()
            if self._logged_in is None:
                if self._refused is not None and time.monotonic() < self._refused[1]:
                    known = self._refused[0]
                    raise type(known)(known.what, known.remedy)
                try:
                    with problem_of(self.name, self._kubeconfig, self._context):
                        made = login(self._choose(), seconds=self._patience.plugin)
                        self._logged_in = made, Wire(made.route)
                except Failed as trouble:
                    self._refuse(trouble)
                    raise
            return self._logged_in

    def _log_out(self, who: Login, why: Trouble, *, again: bool) -> bool:
        """These credentials were refused. Whether it is worth asking `again`, with credentials read anew. Where they were anew
        already they are let be for a while, since who tries too often is locked out.
        """
        with self._lock:
            if self._logged_in is not None and self._logged_in[0] is who:
                again = again and not self._doubtful
                who.refused()
                self._drop()
                self._chosen = None
                self._doubtful = True
            if not again:
                self._refuse(why)
            return again

    def _refuse(self, trouble: Trouble) -> None:
        self._refused = trouble, time.monotonic() + self._patience.parked

    # -- asking

    def _as_served(self, kind: Kind, send: Callable[[Kind], T]) -> T:
        """What `send` gives of the kind, in a version that the API server serves; which one that is, is asked only where it does
        not serve the one that is known. Missing where there is no such object, or no such kind in any version.
        """
        known = self._served.get(kind, kind)
        try:
            return send(known)
        except Missing as missing:
            found = None if missing.served else served(kind, self._discovered)
            if found in (None, known):
                raise
            self._served[kind] = found
            return send(found)

    def _discovered(self, path: str) -> Object | None:
        asked = self._asked("ask what it serves")
        try:
            return decoded(asked, self._ask(asked, "GET", path), {})
        except Missing:
            return None

    def _asked(self, what: str, *, mutating: bool = False) -> Asked:
        return Asked(self.name, self._context, self._kubeconfig, self.server, what, mutating)

    def _until_many(self) -> float:
        """When a call that needs several requests must be done."""
        return time.monotonic() + 2 * self._patience.total

    def _ask(
        self,
        asked: Asked,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: Object | None = None,
        content_type: str = "application/json",
        *,
        repeatable: bool = False,
        until: float = math.inf,
    ) -> Answer:
        """The API server's good answer to one request. `repeatable`: doing it twice is as good as once, as it is with reads."""
        headers = {"Accept": "application/json, */*;q=0.5", "User-Agent": "meshwizard"}
        data = None
        if body is not None:
            headers["Content-Type"] = content_type
            data = json.dumps(body, default=str).encode()
        target = path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        reading = method == "GET"

        def send(who: Login, wire: Wire, attempts: Attempts) -> Answer:
            if asked.mutating:
                changing.check()
            silence = self._patience.silence if reading else self._patience.total
            return wire.ask(
                method, target, _joined(headers, who.headers), data,
                connect=attempts.connect, silence=silence, until=attempts.until,
            )  # fmt: skip

        # Only server-side apply may meet a conflict that is not the caller's: two made it at the same moment.
        races = method == "PATCH" and body is not None and "resourceVersion" not in (body.get("metadata") or {})
        return self._until_answered(asked, send, repeatable=repeatable or reading, until=until, races=races)

    def _until_answered(
        self,
        asked: Asked,
        send: Callable[[Login, Wire, Attempts], R],
        *,
        repeatable: bool,
        until: float = math.inf,
        races: bool = False,
    ) -> R:
        """What `send` gets, sent again as long as that promises something, and safe."""
        # What is to be read and run on this machine first is no work of the network's, and none of its time.
        self._connected()
        unmet, given_up = self._unmet or (None, -math.inf)
        ago = time.monotonic() - given_up
        attempts = Attempts(self._patience, until=until, repeatable=repeatable, parked=ago < self._patience.parked)
        renewed = raced = False
        while True:
            who, wire = self._connected()
            if unmet is not None and ago < self._patience.mute:
                raise no_answer(asked, unmet, wire.route, unsure=False) from unmet
            try:
                answer = send(who, wire, attempts)
            except NoAnswer as none:
                if none.large:
                    raise too_large(asked, none) from none
                if none.tls is None and attempts.again(Failure.LOST if none.sent else Failure.UNSENT):
                    continue
                if not none.sent:
                    self._unmet = none, time.monotonic()
                raise no_answer(asked, none, wire.route, unsure=attempts.unsure or none.sent) from none
            self._unmet = None
            if not isinstance(answer, Answer) or HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
                self._doubtful = False
                return answer
            failure = failure_of(answer.status)
            wish = retry_after(answer.headers.get("Retry-After"), answer.headers.get("Date"))
            if failure is not None and attempts.again(failure, wish):
                continue
            trouble = refusal(asked, answer, who.certificate)
            if isinstance(trouble, NotKnown) and self._log_out(who, trouble, again=not renewed):
                renewed = True
                continue
            if isinstance(trouble, Outdated) and races and not raced:
                raced = True
                continue
            if isinstance(trouble, Missing):
                trouble.unsure = attempts.unsure
            raise trouble


def _joined(headers: Mapping[str, str], more: Mapping[str, str]) -> HTTPHeaderDict:
    """All of them; one that stands more than once in `more` stays so."""
    joined = HTTPHeaderDict(headers)
    joined.extend(more)
    return joined


def _path(kind: Kind, namespace: str = "", name: str = "") -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind.namespaced else ""
    return f"{root}{place}/{kind.plural}" + (f"/{quote(name, safe='')}" if name else "")
