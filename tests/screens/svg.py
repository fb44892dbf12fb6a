"""`python -m tests.screens.svg docs/install.svg`: the demo's install screen in the middle of its work, for the README."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path

SIZE = (120, 40)


async def picture() -> str:
    """The screen as SVG, once some arrows are lit, others are on their way, and steps are at work."""
    from tests.screens.driving import driving
    from tests.screens.goldens import svg_of
    from wizard.mesh.links import LinkState
    from wizard.simulated.outside import SimulatedOutside

    with tempfile.TemporaryDirectory() as folder:
        async with driving(Path(folder), SIZE, SimulatedOutside()) as driver:
            await driver.to("review")
            await driver.ready()
            await driver.press("ctrl+n")

            def worth_showing() -> bool:
                run = driver.app.active_run
                if run is None or driver.stage != "install":
                    return False
                states = set(run.view.board.links.values())
                return {LinkState.OK, LinkState.WORKING} <= states and len(run.view.active) > 2

            await driver.until(worth_showing, 60)
            svg = svg_of(driver.app)
            if driver.app.active_run:
                driver.app.active_run.give_up()
    return svg


if __name__ == "__main__":
    os.environ["TEXTUAL_ANIMATIONS"] = "none"
    Path(sys.argv[1]).write_text(asyncio.run(picture()), encoding="utf-8")
