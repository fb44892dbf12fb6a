"""A screen of declared questions: answers go into the draft as they are typed, mistakes show at once where they are."""

from __future__ import annotations

from typing import ClassVar

from textual import on

from screens.base import Refusal, WizardScreen
from screens.draft import ContextId, stage_of
from screens.fields import Answer, Control, FieldInput, FieldRow, control_for
from wizard.mesh.fields import cluster_field, mesh_field


class FormScreen(WizardScreen):
    """Asks questions about the mesh (`row`) and about each cluster (`cluster_control`)."""

    BINDINGS: ClassVar = []

    def row(self, key: str, placeholder: str = "") -> FieldRow:
        """The row of one question about the mesh."""
        field = mesh_field(key)
        return FieldRow(field.title, [control_for(field, key, self.wizard.draft.mesh_value(key), placeholder)])

    def cluster_control(self, chosen: ContextId, key: str, placeholder: str = "") -> Control:
        """The control of one question about one cluster."""
        draft = self.wizard.draft
        return control_for(
            cluster_field(key), draft.path_of(chosen, key), draft.cluster_value(chosen, key), placeholder
        )

    def arrived(self) -> None:
        """Show the mistakes that are there already."""
        self.judge()

    @on(Answer)
    def _answered(self, answer: Answer) -> None:
        answer.stop()
        draft, control = self.wizard.draft, answer.field_control
        if control.field.scope == "mesh":
            draft.answer(control.field.key, answer.value)
        else:
            index = int(control.path.split("[")[1].split("]")[0])
            draft.answer_cluster(draft.chosen[index], control.field.key, answer.value)
        self.judge()

    def judge(self) -> None:
        """Show every mistake at its question, or take it away."""
        mistakes = self.mistakes()
        for row in self.query(FieldRow):
            row.show(mistakes)
        if not mistakes:
            self.say("")

    def mistakes(self) -> dict[str, str]:
        """What is wrong on this screen: path → sentence."""
        found = {
            mistake.path: mistake.text
            for mistake in self.wizard.draft.mistakes()
            if stage_of(mistake.path) == self.STAGE
        }
        for row in self.query(FieldRow):
            for control in row.controls:
                # An emptied required field would silently mean its default in the document: say so here.
                wrong = control.field.mistake(control.answer)
                if wrong:
                    found[control.path] = wrong
        return found

    def refuse(self) -> Refusal | None:
        """The first mistake, with its question focused."""
        mistakes = self.mistakes()
        for row in self.query(FieldRow):
            for control in row.controls:
                if control.path in mistakes:
                    return f"{control.field.title}: {mistakes[control.path]}", control
        for path, text in mistakes.items():
            return f"{path}: {text}", None
        return None

    def input(self, path: str) -> FieldInput:
        """The input with that path; for tests."""
        return next(control for control in self.query(FieldInput) if control.path == path)
