"""A real cluster, asked over its API server's HTTP interface, through the official client's reading of a kubeconfig.

Objects stay plain dictionaries: server-side apply sends just the fields we mean, and no typed model may add to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast
from urllib.parse import quote

from wizard.clusters.answers import (
    Asked,
    Gone,
    Missing,
    TooLarge,
    decoded,
    misshapen,
    object_in,
    objects_in,
    too_large,
)
from wizard.clusters.bounds import MAX_LIST, PAGES, size
from wizard.clusters.connection import Connection
from wizard.clusters.kinds import NAMESPACE, SECRET, Kind, Object, Ref, ref_of
from wizard.clusters.login import Login
from wizard.clusters.patience import PATIENT, Attempts, Patience, moment
from wizard.clusters.port import MANAGER, Executed, Outdated, Right, ServerVersion
from wizard.clusters.served import served
from wizard.clusters.shapes import REVIEW, VERSION
from wizard.clusters.wire import Answer, Wire
from wizard.credentials import hold_secret
from wizard.errors import Failed
from wizard.messages import msg
from wizard.text import one_line, printable

T = TypeVar("T")
RELISTS = 3  # times that a list is begun anew because its rest was forgotten


class RealCluster:
    """One kubeconfig context. Implements `wizard.clusters.port.Cluster`; connects at the first call."""

    def __init__(self, name: str, kubeconfig: Path | None, context: str, patience: Patience = PATIENT) -> None:
        """`name`: what messages call it. `kubeconfig`: the file; None: as KUBECONFIG says, or the usual place. `patience`: how
        long a call may take, and what is tried again.
        """
        self.name = name
        self._connection = Connection(name, kubeconfig, context, patience)
        self._served: dict[Kind, Kind] = {}  # a kind → the same in the version in which it is found here

    @property
    def server(self) -> str:
        return self._connection.server

    @property
    def verified(self) -> bool:
        return self._connection.verified

    def version(self) -> ServerVersion:
        asked = self._connection.asked(msg("ask for its version"))
        answer = self._connection.ask(asked, "GET", "/version")
        body = decoded(asked, answer, VERSION)
        numbers = [re.fullmatch(r"v?(\d{1,4})\D*", body.get(field) or "0") for field in ("major", "minor")]
        if None in numbers:
            raise misshapen(asked, msg("major and minor of its version must be numbers"))
        major, minor = (int(number[1]) for number in numbers if number)
        return ServerVersion(
            one_line(body.get("gitVersion", "")), major or 1, minor, moment(answer.headers.get("Date")), answer.seconds
        )

    def identity(self) -> str:
        found = self.get(Ref(NAMESPACE, "kube-system"))
        if found is None:
            raise Failed(
                msg("{cluster} has no namespace kube-system", cluster=self.name), msg("Is this a Kubernetes cluster?")
            )
        return str(found["metadata"]["uid"])

    def get(self, ref: Ref) -> Object | None:
        asked = self._connection.asked(msg("get {object}", object=str(ref)))

        def look(kind: Kind) -> Object:
            return object_in(asked, self._connection.ask(asked, "GET", _path(kind, ref.namespace, ref.name)), kind)

        try:
            found = self._as_served(ref.kind, look)
        except Missing:
            return None
        if ref.kind is SECRET:
            hold_secret(found)
        return found

    def objects(self, kind: Kind, namespace: str = "", labels: str = "") -> list[Object]:
        self._connection.asked(
            msg("list {resource}", resource=kind.resource)
        )  # reads the kubeconfig, before time counts
        until = self._connection.until_many()
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
        asked = self._connection.asked(msg("list {resource}", resource=kind.resource))
        found: list[Object] = []
        token, taken, pages = "", 0, list(PAGES)
        while True:
            query = (
                {"limit": str(pages[0])}
                | ({"labelSelector": labels} if labels else {})
                | ({"continue": token} if token else {})
            )
            try:
                answer = self._connection.ask(asked, "GET", _path(kind, namespace), query, until=until)
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
                    why = msg("there are so many that they come to more than {limit} MiB", limit=MAX_LIST >> 20)
                    raise too_large(asked, why)
            found += page
            if not token:
                for each in found if kind is SECRET else ():
                    hold_secret(each)
                return found

    def apply(self, manifest: Object, *, force: bool = False, dry_run: bool = False) -> Object:
        ref = ref_of(manifest)
        query = {"fieldManager": MANAGER, "force": str(force).lower()} | ({"dryRun": "All"} if dry_run else {})
        asked = self._connection.asked(msg("apply {object}", object=str(ref)), mutating=not dry_run)
        return self._write(
            asked, "PATCH", _path(ref.kind, ref.namespace, ref.name), query, manifest, "application/apply-patch+yaml",
            repeatable=True, stored=not dry_run,
        )  # fmt: skip

    def create(self, manifest: Object) -> Object:
        ref = ref_of(manifest)
        asked = self._connection.asked(msg("create {object}", object=str(ref)), mutating=True)
        return self._write(asked, "POST", _path(ref.kind, ref.namespace), {"fieldManager": MANAGER}, manifest)

    def replace(self, manifest: Object) -> Object:
        ref = ref_of(manifest)
        asked = self._connection.asked(msg("replace {object}", object=str(ref)), mutating=True)
        path = _path(ref.kind, ref.namespace, ref.name)
        try:
            return object_in(
                asked, self._connection.ask(asked, "PUT", path, {"fieldManager": MANAGER}, manifest), ref.kind
            )
        except Missing as missing:
            what = msg(
                "{cluster}: {request}: {problem}", cluster=self.name, request=asked.what, problem=msg("it is gone")
            )
            raise Outdated(what, "") from missing

    def _write(
        self, asked: Asked, method: str, path: str, query: dict[str, str], manifest: Object,
        content_type: str = "application/json", *, repeatable: bool = False, stored: bool = True,
    ) -> Object:  # fmt: skip
        try:
            answer = self._connection.ask(asked, method, path, query, manifest, content_type, repeatable=repeatable)
            return object_in(asked, answer, ref_of(manifest).kind, stored=stored)
        except Missing as missing:
            what = msg(
                "{cluster}: {object} cannot be made: {answer}",
                cluster=self.name,
                object=str(ref_of(manifest)),
                answer=missing.told,
            )
            raise Failed(what, "") from missing

    def delete(self, ref: Ref, *, uid: str = "", version: str = "") -> bool:
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background"}
        expected = {"uid": uid, "resourceVersion": version}
        if any(expected.values()):
            body["preconditions"] = {field: value for field, value in expected.items() if value}
        asked = self._connection.asked(msg("delete {object}", object=str(ref)), mutating=True)
        # Without its UID, the second request could hit one that was made since; with a version it could miss what the first did.
        repeatable = bool(uid) and not version

        def delete(kind: Kind) -> None:
            path = _path(kind, ref.namespace, ref.name)
            decoded(asked, self._connection.ask(asked, "DELETE", path, body=body, repeatable=repeatable), {})

        try:
            self._as_served(ref.kind, delete)
        except Missing as missing:
            return missing.unsure  # then it was there, and an earlier request took it
        return True

    def denied(self, rights: Sequence[Right]) -> list[Right]:
        asked, until = self._connection.asked(msg("review access")), self._connection.until_many()

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
            body = decoded(
                asked, self._connection.ask(asked, "POST", path, body=review, repeatable=True, until=until), REVIEW
            )
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

        asked = self._connection.asked(msg("run a command in {pod}", pod=str(pod)))
        path = f"{_path(pod.kind, pod.namespace, pod.name)}/exec?{query_of(container, argv, stdin=bool(stdin))}"

        def send(who: Login, wire: Wire, attempts: Attempts) -> Answer | Executed:
            return execute(
                wire, path, who.headers, connect=attempts.connect, until=attempts.until, seconds=seconds, stdin=stdin.encode()
            )  # fmt: skip

        try:
            done = self._connection.until_answered(asked, send, repeatable=False)
        except Missing as missing:
            what = msg(
                "{cluster}: no command could be run in {pod}: {answer}",
                cluster=self.name,
                pod=str(pod),
                answer=missing.told,
            )
            raise Failed(what, "") from missing
        return cast(Executed, done)  # an answer that is none of that was an error, and raised

    def logs(self, pod: Ref, container: str, *, lines: int = 20, previous: bool = False) -> str:
        query = {"container": container, "tailLines": str(lines), "limitBytes": "65536"}
        query |= {"previous": "true"} if previous else {}
        try:
            answer = self._connection.ask(
                self._connection.asked(msg("read the logs of {pod}", pod=str(pod))),
                "GET",
                f"{_path(pod.kind, pod.namespace, pod.name)}/log",
                query,
            )
        except Failed:
            return ""
        return printable(answer.data.decode(errors="replace"))

    def log_in(self) -> None:
        """Read and run whatever this machine needs before the first request. Requests do it by themselves. Failed where there
        are no credentials.
        """
        self._connection.log_in()

    def close(self) -> None:
        self._connection.close()

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
        asked = self._connection.asked(msg("ask what it serves"))
        try:
            return decoded(asked, self._connection.ask(asked, "GET", path), {})
        except Missing:
            return None


def _path(kind: Kind, namespace: str = "", name: str = "") -> str:
    root = f"/apis/{kind.api_version}" if kind.group else f"/api/{kind.api_version}"
    place = f"/namespaces/{quote(namespace, safe='')}" if namespace and kind.namespaced else ""
    return f"{root}{place}/{kind.plural}" + (f"/{quote(name, safe='')}" if name else "")
