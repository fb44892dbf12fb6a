"""A screen of declared questions: answers go into the draft as they are typed, mistakes show at once where they are."""

from __future__ import annotations

from typing import ClassVar

from textual import on

from screens.base import Refusal, WizardScreen
from screens.clusters import Clusters
from screens.draft import stage_of
from screens.fields import Answer, FieldRow, control_for
from wizard.mesh.fields import mesh_field
from wizard.messages import msg


class FormScreen(WizardScreen):
    """Asks questions about the mesh (`row`), and about its clusters where it holds a `Clusters`."""

    BINDINGS: ClassVar = []

    def row(self, key: str, placeholder: str = "") -> FieldRow:
        """The row of one question about the mesh."""
        field = mesh_field(key)
        return FieldRow(field.title, [control_for(field, key, self.wizard.draft.mesh_value(key), placeholder)])

    def arrived(self) -> None:
        """Show the mistakes that are there already."""
        self.judge()

    @on(Answer)
    def _answered(self, answer: Answer) -> None:
        answer.stop()
        control = answer.field_control
        if control.field.scope == "mesh":
            self.wizard.draft.answer(control.field.key, answer.value)
        elif answer.value is not None or len(control.targets) == 1:  # of many, an empty field means that they differ
            self.wizard.draft.answer_clusters(control.targets, control.field.key, answer.value)
        self.judge()

    @property
    def clusters(self) -> Clusters | None:
        """The clusters with their questions, where this screen has any."""
        return next(iter(self.query(Clusters)), None)

    def judge(self) -> None:
        """Show every mistake at its question, or take it away."""
        mistakes = self.mistakes()
        for row in self._mesh_rows():
            row.show(mistakes)
        if self.clusters:
            self.clusters.show(mistakes)
        if not mistakes:
            self.say("")

    def _mesh_rows(self) -> list[FieldRow]:
        return [row for row in self.query(FieldRow) if row.controls[0].field.scope == "mesh"]

    def mistakes(self) -> dict[str, str]:
        """What is wrong on this screen: path → sentence."""
        found = {
            mistake.path: mistake.text
            for mistake in self.wizard.draft.mistakes()
            if stage_of(mistake.path) == self.STAGE
        }
        for row in self._mesh_rows():
            for control in row.controls:
                # An emptied required field would silently mean its default in the document: say so here.
                wrong = control.field.mistake(control.answer)
                if wrong:
                    found[control.path] = wrong
        return found

    def refuse(self) -> Refusal | None:
        """The first mistake, with its question focused."""
        mistakes = self.mistakes()
        for row in self._mesh_rows():
            for control in row.controls:
                if control.path in mistakes:
                    wrong = msg("{question}: {mistake}", question=control.field.title, mistake=mistakes[control.path])
                    return wrong, control
        for path, text in mistakes.items():
            at = self.clusters.go_to(path) if self.clusters and path.startswith("clusters[") else None
            if at is not None:
                name = self.wizard.draft.cluster_value(at.targets[0], "name") if at.targets else ""
                wrong = msg(
                    "{cluster}: {question}: {mistake}",
                    cluster=name or msg("a cluster"),
                    question=at.field.title,
                    mistake=text,
                )
                return wrong, at
            return msg("{path}: {mistake}", path=path, mistake=text), None
        return None
