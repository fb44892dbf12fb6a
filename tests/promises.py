"""The promises of docs/reliability.md and the tests that prove them: `@pytest.mark.promise(N, …)`.

The table in the document is rendered from those marks: `python -m tests.promises` writes it, and a test compares.
"""

from __future__ import annotations

from tests.marks import ROOT, Table

PROMISES = {
    1: "A state write is whole or not at all: killed at any system call, a reader sees the old generation or the new one.",
    2: "What was acknowledged is on the disk: file flushed, renamed, folder flushed, in this order, before the answer.",
    3: "A full or broken disk leaves the old state intact; nothing new starts, what runs ends, and the exit code says so.",
    4: "A damaged state file is put aside, the last good generation used and everything probed again; never “nothing installed”.",
    5: "Serial and lineage: several generations are kept; an older serial or a foreign lineage is not believed.",
    6: "An older schema is migrated with a backup; a newer one is refused and stays untouched; unknown fields are kept.",
    7: "State is pinned to the cluster's identity (UID of kube-system), not to a context's name.",
    8: "State folders and files are private; links, strangers' files and folders that others can write are refused.",
    9: "No secret can be written: not into state, logs, events, reports, TMPDIR, arguments or environments.",
    10: "One writer per mesh, whatever the number of processes.",
    11: "A killed holder frees the mesh at once; there is no command to unlock, for nothing is ever to be unlocked.",
    12: "An orphaned istioctl keeps other runs out until it ends.",
    13: "A file system that cannot lock is refused; never a weaker lock instead.",
    14: "Two machines: a Lease in each cluster, renewed and fenced, taken over only after expiry and consent.",
    15: "`begin` is durable before any effect; one without an end means unknown, and unknown means probe.",
    16: "With the state deleted, `apply` adopts all that stands with no mutating request.",
    17: "Killed at any boundary and resumed, the clusters end as after an uninterrupted run: nothing lost, nothing twice.",
    18: "A second run sends no mutating request and exits with 0.",
    19: "Never two roots: every cluster is looked at before one is generated, and it is kept before it signs.",
    20: "A failure stops only what depends on it.",
    21: "Undo goes in reverse, takes only what this mesh made, and may itself be killed anywhere.",
    22: "A plan that went stale since it was shown is refused.",
    23: "Looking changes nothing: reads and dry runs only.",
    24: "Drift of every managed object is told exactly; a field of another manager is a conflict before istioctl overwrites it.",
    25: "Step ids are stable between releases: what one began, the next resumes.",
    26: "Every call has deadlines to connect, to read and in total: a silent, slow or hanging server is given up.",
    27: "Retried by kind of answer: 429 and 5xx with patience, 401 once, 403 and 409 never blindly; each told in a sentence.",
    28: "An answer that was lost after the commit means unknown: it is probed, not repeated blindly.",
    29: "One dead cluster does not hold up the others.",
    30: "Deadlines are monotonic: a clock that jumps changes nothing.",
    31: "Children have sessions of their own, both pipes drained and capped; after any exit none is left.",
    32: "SIGINT: the first drains, the second ends the children, the third leaves; the state is written each time.",
    33: "SIGTERM, SIGHUP and a terminal that vanishes: state kept, terminal restored, no orphan.",
    34: "Stopped and continued (SIGTSTP, a closed lid), a run goes on, or fences itself where another took over.",
    35: "Without a terminal, with a dumb or a tiny one, with a closed pipe: plain lines and the same exit codes.",
    36: "Temporary files only in our private folder, swept at the next start; planted links and pipes are not followed.",
    37: "Hostile strings from clusters never reach the terminal raw.",
    38: "Every exit that leaves work prints the command that goes on, and that command works.",
    39: "A crash report is written by consent only, private, free of secrets, and never hides the first error.",
    40: "A half-linked pair of clusters is a named state with a named repair.",
}
TABLE = Table(ROOT / "docs/reliability.md", "promise", tuple(PROMISES))


def render() -> str:
    """The table."""
    return TABLE.render(["Promise"], {number: [text] for number, text in PROMISES.items()})


if __name__ == "__main__":
    TABLE.write(render())
