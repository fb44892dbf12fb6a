"""The mesh drawing as a widget, at whatever width there is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from screens.lines import Lines
from wizard.mesh.drawing import draw
from wizard.mesh.links import Causes, Counts, States
from wizard.mesh.model import Mesh
from wizard.messages.catalogue import rendered


class Picture(Lines, can_focus=False):
    """Draws a mesh or an unfinished mesh document, and draws it again when states or the width change."""

    def __init__(
        self, *, id: str | None = None, small: bool = False, ascii_only: bool = False, classes: str = "-fit"
    ) -> None:
        """`small`: one line a cluster, for narrow places. `ascii_only`: the terminal lacks box characters."""
        super().__init__(id=id, classes=classes)
        self._of: Mesh | Mapping[str, Any] | None = None
        self._links: States | None = None
        self._counts: Counts | None = None
        self._causes: Causes | None = None
        self._clusters: Sequence[object] = ()
        self._small = small
        self._ascii = ascii_only
        self._only = ""
        self._drawn: tuple[object, ...] = ()

    @property
    def small(self) -> bool:
        """Whether it makes do with a few lines."""
        return self._small

    @small.setter
    def small(self, small: bool) -> None:
        if small != self._small:
            self._small = small
            self._redraw()

    def show_only(self, text: str) -> None:
        """Of many clusters, only the rows with this in their name, network or primary; empty: all."""
        self._only = text
        self._redraw()

    def draw(
        self,
        of: Mesh | Mapping[str, Any],
        links: States | None = None,
        counts: Counts | None = None,
        causes: Causes | None = None,
    ) -> None:
        """Draw this."""
        clusters = of.clusters if isinstance(of, Mesh) else list(of.get("clusters") or ())
        if links is None and self._of is not None and clusters == self._clusters:
            return  # whatever was typed, it was not about the clusters
        self._of, self._links, self._counts, self._causes, self._clusters = of, links, counts, causes, clusters
        self.can_focus = len(clusters) > 2  # a matrix may need scrolling; the picture of two never does
        self._redraw()

    def on_resize(self) -> None:
        """The drawing fits the width."""
        super().on_resize()
        self._redraw()

    def _redraw(self) -> None:
        width = self.scrollable_content_region.width or self.content_region.width
        if self._of is None or width < 4:
            return
        drawing = draw(
            self._of, links=self._links, counts=self._counts, causes=self._causes, width=width, ascii=self._ascii,
            small=self._small, only=self._only, say=rendered,
        )  # fmt: skip
        if drawing.lines != self._drawn:  # most events change no arrow
            self._drawn = drawing.lines
            self.show(drawing.lines)
