"""Istio: which istioctl, which images, whose certificates."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Select, Static

from screens.base import Refusal
from screens.fields import FieldInput, FieldRow
from screens.form import FormScreen
from wizard.messages import joined, msg
from wizard.messages.catalogue import rendered, tr
from wizard.outside import IstioctlFound
from wizard.paths import expanded, is_file
from wizard.text import one_line

if TYPE_CHECKING:
    from wizard.errors import Trouble


FOLDERS = {  # what an empty answer means, by the source of the certificates
    "generate": msg("the platform's data folder"),
    "directory": msg("needed: a folder with one folder per cluster in it"),
    "offline": msg("needed: where the requests are written, one folder per cluster"),
}


class IstioScreen(FormScreen):
    """What is installed, and whose certificates it uses."""

    STAGE = "istio"
    HEADING = msg("Istio")
    HINT = msg("The control plane gets the version of the istioctl chosen.")
    ABOUT = msg(
        "The istioctl that does the installing (yours; its version is the mesh's), where images come from, certificates."
    )
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+o", "other", msg("Other istioctl"))]
    CSS_PATH = "istio.tcss"

    def body(self) -> ComposeResult:
        """istioctl first, because it decides the version."""
        with VerticalScroll(can_focus=False):
            yield Static(tr("Program and images"), classes="heading", markup=False)
            with Horizontal(id="istioctl-row"):
                yield Static("istioctl", classes="row-label", markup=False)
                yield Select[str]([], prompt=tr("looking on the PATH …"), id="istioctl", compact=True)
            yield Static("", id="istioctl-trouble", classes="mistake", markup=False)
            for key in ("istio.version", "istio.revision", "istio.hub", "istio.imagePullPolicy"):
                yield self.row(key)
            yield self.row("istio.pullSecret", msg("none: the registry asks for no password"))
            yield self.row("istio.pullSecretFile", msg("the Secret is in the clusters already"))
            yield self.row("istio.overlays")
            yield Static(tr("Certificates"), classes="heading", markup=False)
            yield self.row("certificates.source")
            yield self.row("certificates.path")
            yield Static(tr("Verification"), classes="heading", markup=False)
            yield self.row("verify.namespace")
            yield self.row("verify.hub")
            yield self.row("verify.curlImage", msg("derived from the hub"))
            yield self.row("verify.probes")

    def arrived(self) -> None:
        """Look for istioctl."""
        super().arrived()
        if self.wizard.draft.istioctls is None:
            self.wizard.background(self.wizard.outside.istioctls, self._found, self._none_found)
        else:
            self._show(self.wizard.draft.istioctls)

    def judge(self) -> None:
        """Only what goes with the other answers is asked."""
        draft = self.wizard.draft
        source = str(draft.mesh_value("certificates.source"))
        for row in self.query(FieldRow):
            control = row.controls[0]
            if control.path == "certificates.path" and isinstance(control, FieldInput):
                row.display = source in FOLDERS
                control.say_instead(FOLDERS.get(source, ""))
            elif control.path == "istio.pullSecretFile":
                row.display = bool(draft.mesh_value("istio.pullSecret") or draft.mesh_value(control.path))
        super().judge()

    def _found(self, found: list[IstioctlFound]) -> None:
        given = self.wizard.draft.istioctl
        if given and all(one.path != given for one in found):
            found = [IstioctlFound(given), *found]
        self.wizard.draft.istioctls = found
        if self.stands:
            self._show(found)

    def _none_found(self, trouble: Trouble) -> None:
        self.wizard.draft.istioctls = []
        self.say(joined((trouble.what, trouble.remedy), " "), wrong=True)

    def _show(self, found: list[IstioctlFound]) -> None:
        select = self._select()
        select.set_options([(Content(_titled(one)), one.path) for one in found])
        usable = [one.path for one in found if not one.problem]
        wished = self.wizard.draft.istioctl
        if wished and any(one.path == wished for one in found):
            select.value = wished
        elif usable:
            select.value = usable[0]
        elif found:
            select.value = found[0].path
        else:
            select.prompt = tr("none found")
        self._judge_istioctl()

    def _select(self) -> Select[str]:
        return self.query_one("#istioctl", Select)

    @on(Select.Changed, "#istioctl")
    def _chosen(self, event: Select.Changed) -> None:
        event.stop()
        if isinstance(event.value, str):
            self.wizard.draft.istioctl = event.value
        self._judge_istioctl()

    def _judge_istioctl(self) -> None:
        wrong = self._wrong_istioctl()
        place = self.query_one("#istioctl-trouble", Static)
        place.update(Content(f"✗ {rendered(wrong)}" if wrong else ""))
        place.display = bool(wrong)

    def _wrong_istioctl(self) -> str | None:
        found = self.wizard.draft.istioctls
        if found is None:
            return None
        if not found:
            return msg("no istioctl was found on the PATH; Ctrl+O names one")
        chosen = next((one for one in found if one.path == self.wizard.draft.istioctl), None)
        return one_line(chosen.problem) if chosen and chosen.problem else None

    def action_other(self) -> None:
        """Name another istioctl."""
        from screens.dialogs import Ask

        def check(typed: str) -> str | None:
            path = expanded(typed)
            if self.wizard.outside.simulated or is_file(path):
                return None
            return msg("{path} is not a file", path=one_line(path))

        def given(typed: str | None) -> None:
            if typed:
                path = str(expanded(typed).absolute())
                self.wizard.draft.istioctl = path
                others = [one for one in self.wizard.draft.istioctls or [] if one.path != path]
                self._found([IstioctlFound(path), *others])

        ask = Ask(msg("Another istioctl"), msg("Path of the istioctl to use."), "", check)
        self.app.push_screen(ask, given)

    def ready(self) -> bool:
        """Once istioctl was looked for."""
        return self.wizard.draft.istioctls is not None

    def awaits(self) -> str:
        """The search for istioctl."""
        return msg("Still looking for istioctl.") if self.wizard.draft.istioctls is None else ""

    def refuse(self) -> Refusal | None:
        """An istioctl that can be used, and no mistakes."""
        wrong = self._wrong_istioctl()
        if wrong:
            return msg("istioctl: {problem}", problem=wrong), self._select()
        return super().refuse()


def _titled(found: IstioctlFound) -> str:
    version = found.version or (msg("cannot be used") if found.problem else msg("version not asked yet"))
    return rendered(one_line(msg("{istioctl} ({version})", istioctl=found.path, version=version), 120))
