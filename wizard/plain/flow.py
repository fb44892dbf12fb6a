"""The whole conversation: contexts, the mesh, its clusters, review, consent, the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any

from wizard.console import planned
from wizard.console import settings as doors
from wizard.console.files import write
from wizard.console.flags import prefilled
from wizard.console.settings import Settings
from wizard.console.working import carry_out, looked, prepared
from wizard.engine.approval import Stale
from wizard.errors import Interrupted, Trouble
from wizard.mesh.document import Document, mesh_from, put
from wizard.mesh.fields import CLUSTER_FIELDS, MESH_FIELDS, Field, cluster_field
from wizard.mesh.meshfile import write_meshfile
from wizard.mesh.rules import is_remote, serves_remotes, value_at
from wizard.messages import joined, msg
from wizard.operations.apply import Apply
from wizard.outside import ContextFacts, Outside
from wizard.paths import expanded
from wizard.plain import contexts
from wizard.plain.asking import Asker, Option
from wizard.plain.fields import ask
from wizard.proposal import DEPENDENT, propose_exposure, worth_asking
from wizard.text import one_line, quoted

_GO, _MESH, _WRITE, _LEAVE = "go", "mesh", "write", "leave"
NEEDS_FOLDER = ("directory", "offline")  # sources of certificates


def make_agree(document: Document) -> None:
    """Take out answers to questions that make no sense any more."""
    for key in ("role", *(field.key for field in CLUSTER_FIELDS)):
        for entry in document["clusters"]:
            # A remote may name its primary also where there is only one.
            sensible = worth_asking(key, entry, document) or (key == "primary" and is_remote(entry))
            if value_at(entry, key) is not None and not sensible:
                put(entry, key, None)


def _of_cluster(title: str, entry: Document) -> str:
    return msg("{question} of {context}", question=title, context=one_line(entry["context"], 60))


class Flow:
    """One conversation. Nothing is touched before the person says so at the review."""

    def __init__(self, asker: Asker, settings: Settings, flags: Mapping[str, Any]) -> None:
        self._asker = asker
        self._settings = settings
        self._out = settings.out
        self._flags = flags

    def run(self) -> int:
        """From the first question to the outcome; gives the exit code."""
        document = prefilled(self._flags)
        self._tell_unfinished()
        outside = doors.outside_of(self._settings)
        self._choose_istioctl(outside)
        document["clusters"], facts = contexts.clusters(
            self._asker, self._out, outside, self._flags.get("context") or (), self._flags.get("kubeconfig") or ()
        )
        self._fill(document, facts)
        refused = 0
        while True:
            reviewed = self._review(document, outside)
            try:
                choice = self._menu(reviewed is not None, document)
                if choice == _GO and reviewed:
                    code, again = self._go(reviewed, outside)
                    if not again:
                        return code
                    refused = code
                    continue
            except EOFError:
                if refused:
                    return refused  # answers that come from a pipe are over
                raise
            finally:
                if reviewed:
                    reviewed.prepared.close()
            if choice == _WRITE:
                self._write(document)
            elif choice == _LEAVE:
                raise Interrupted(msg("left before anything was touched"))
            elif choice == _MESH:
                self._change(document, MESH_FIELDS)
                make_agree(document)
                if document.get("topology") == "primary-remote" and not any(map(is_remote, document["clusters"])):
                    self._roles(document)
            else:
                entry = document["clusters"][int(choice)]
                self._change(entry, [field for field in CLUSTER_FIELDS if worth_asking(field.key, entry, document)])
                make_agree(document)

    # -- questions

    def _tell_unfinished(self) -> None:
        for state in self._settings.folder().summaries():
            if not getattr(state, "finished", True):
                command = f"meshwizard resume {quoted(state.name)}{self._settings.place}"
                told = msg("Mesh {mesh} is unfinished; go on with it by: {command}", mesh=state.name, command=command)
                self._out.line(told)

    def _choose_istioctl(self, outside: Outside) -> None:
        if self._settings.istioctl:
            return
        found = outside.istioctls()
        usable = [each for each in found if not each.problem]
        if len({each.version for each in usable}) < 2:
            return
        options = [Option(f"{one_line(each.path)}  {each.version}", each.problem) for each in found]
        chosen = self._asker.choose(
            "istioctl", options, default=found.index(usable[0]), hint=msg("It brings the Istio version.")
        )
        self._settings.istioctl = found[chosen].path

    def _fill(self, document: Document, facts: Sequence[ContextFacts | None]) -> None:
        """Ask what must be known and was not told by a flag; the rest can be changed at the review."""
        for field in MESH_FIELDS:
            needed = field.required or (
                field.key == "certificates.path" and value_at(document, "certificates.source") in NEEDS_FOLDER
            )
            if needed and value_at(document, field.key) is None:
                put(document, field.key, ask(self._asker, replace(field, required=True), None))
        for entry in document["clusters"]:
            for key in ("name", "network"):
                field = cluster_field(key)
                put(entry, key, ask(self._asker, field, value_at(entry, key), title=_of_cluster(field.title, entry)))
        if document.get("topology") == "primary-remote":
            self._roles(document)
        for entry, found in zip(document["clusters"], facts, strict=True):
            self._exposure(document, entry, found)

    def _roles(self, document: Document) -> None:
        """Who runs an istiod, and who serves whom. Proposed: the first cluster serves all others."""
        clusters = document["clusters"]
        for index, entry in enumerate(clusters):
            field, known = cluster_field("role"), "remote" if index else "primary"
            put(entry, "role", ask(self._asker, field, known, title=_of_cluster(field.title, entry)))
        primaries = [str(entry["name"]) for entry in clusters if not is_remote(entry)]
        for entry in clusters:
            if worth_asking("primary", entry, document):
                field = cluster_field("primary")
                options = [Option(one_line(name, 60)) for name in primaries]
                chosen = self._asker.choose(_of_cluster(field.title, entry), options, hint=field.help)
                put(entry, "primary", primaries[chosen])

    def _exposure(self, document: Document, entry: Document, facts: ContextFacts | None) -> None:
        key = "gateway.exposure"
        if not worth_asking(key, entry, document):
            return
        proposed, why = propose_exposure(facts, serves_remotes(entry, document["clusters"]))
        field = cluster_field(key)
        because = msg("Proposed: {exposure}, because {reason}.", exposure=proposed, reason=why)
        field = replace(field, help=joined((field.help, because), " "))
        put(entry, key, ask(self._asker, field, proposed, title=_of_cluster(field.title, entry)))
        make_agree(document)

    def _change(self, part: Document, fields: Sequence[Field]) -> None:
        options = []
        for field in fields:
            value = value_at(part, field.key)
            shown = one_line(field.render(field.default if value is None else value))
            shown = shown or (msg("to be found") if field.found else "–")
            options.append(Option(msg("{title}: {value}", title=field.title, value=shown)))
        chosen = self._asker.choose_many(msg("Which to change"), options, check=lambda _: None)
        for index in chosen:
            key, before = fields[index].key, value_at(part, fields[index].key)
            put(part, key, ask(self._asker, fields[index], before))
            if key == "gateway.exposure" and value_at(part, key) != before:
                for other in DEPENDENT:  # an address of one kind says nothing about another
                    put(part, other, None)

    # -- review

    def _review(self, document: Document, outside: Outside) -> Apply | None:
        """Show what would be done; gives what does just that. None where it cannot be done as it stands; why was told."""
        try:
            made, looks = looked(self._settings, mesh_from(document), outside=outside)
        except Interrupted:
            raise
        except Trouble as trouble:
            self._out.trouble(trouble)
            return None
        steps = planned.found(made.plan, looks)
        self._out.line()
        self._out.line(planned.drawing(made.mesh, steps))
        self._out.line()
        for line in planned.lines(steps, self._out):
            self._out.line(line)
        for line in planned.files(made.mesh):
            self._out.line(line)
        self._out.line(planned.summary(steps))
        return Apply(made, agreed=made.approval(looks, msg("Look at it again, below.")))

    def _menu(self, ready: bool, document: Document) -> str:
        entries = [(_GO, Option(msg("Do it now"), "" if ready else msg("what is said above comes first")))]
        entries.append((_MESH, Option(msg("Change settings of the mesh"))))
        for index, cluster in enumerate(document["clusters"]):
            name = one_line(cluster.get("name") or index + 1)
            entries.append((str(index), Option(msg("Change settings of {cluster}", cluster=name))))
        entries.append((_WRITE, Option(msg("Write a mesh file, for `meshwizard apply -f`"))))
        entries.append((_LEAVE, Option(msg("Leave; nothing was touched"))))
        default = 0 if ready else 1
        return entries[self._asker.choose(msg("What now"), [option for _, option in entries], default=default)][0]

    def _write(self, document: Document) -> None:
        def check(name: str) -> str | None:
            return None if name else msg("a file name, please")

        try:
            text = write_meshfile(mesh_from(document))
            name = self._asker.text(msg("File"), default="mesh.yaml", hint=msg("It is not overwritten."), check=check)
            write(expanded(name), text, overwrite=False, mode=0o644)
            self._out.line(msg("Written to {file}.", file=one_line(name)))
        except Trouble as trouble:
            self._out.trouble(trouble)

    # -- the run

    def _go(self, reviewed: Apply, outside: Outside) -> tuple[int, bool]:
        """Do what was agreed to; gives the exit code, and whether it was refused and must be looked at again first."""
        try:
            outcome = carry_out(reviewed, self._out)
        except Stale as stale:
            self._out.trouble(stale)
            return stale.exit_code, True
        if outcome.refused:
            return outcome.exit_code, True
        while outcome.exit_code not in (0, 130) and self._tries_again():
            made = prepared(self._settings, reviewed.prepared.wished, outside=outside)
            with closing(made):
                outcome = carry_out(Apply(made), self._out)
        return outcome.exit_code, False

    def _tries_again(self) -> bool:
        try:
            options = [Option(msg("Try again what failed")), Option(msg("Leave; it can be resumed"))]
            return self._asker.choose(msg("What now"), options) == 0
        except (KeyboardInterrupt, EOFError):
            return False  # the run told what to do next
