"""What all tests share."""

from __future__ import annotations

import signal

# Signals that are ignored stay ignored in children. `nohup` ignores one, a background job of a shell another; the tests send
# them all to programs they start, and those must hear them wherever the tests themselves run.
for _number in (signal.SIGHUP, signal.SIGTERM, signal.SIGQUIT):
    signal.signal(_number, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
