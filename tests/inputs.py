"""The inputs that broke the program once, and the tests that hold it to what is right: `@pytest.mark.inputs("9", "S6", …)`.

Each row stands for a kind. People met those with plain numbers (and 22b) with their clusters and kubeconfigs; S… are attacks,
M… are changes of our own code that no test noticed. The table in docs/inputs.md is rendered from those marks:
`python -m tests.inputs` writes it, and a test compares.
"""

from __future__ import annotations

from tests.marks import ROOT, Table

# key → (what comes in, what is right)
INPUTS = {
    # Whose object is it?
    "1": (
        "Another istiod in a namespace of its own, whose cluster-wide webhook has the name of ours",
        "A conflict that names object and owner (exit 3), before anything is changed",
    ),
    "2": (
        "A reader account, its role and its token that Helm made, beside our revision",
        "Recorded before the install; after an uninstall they stand as before",
    ),
    "3": (
        "A platform's controller edits our webhooks",
        "Machinery that is known is no conflict; it is one declared table",
    ),
    "4": (
        "istioctl's own record of an install, as old releases keep it in the cluster",
        "Ours, where it is under our name: uninstall takes it",
    ),
    "5": (
        "An old API server that serves a kind in another version only",
        "Kinds are found by what the API server serves",
    ),
    # Does the right thing answer?
    "6": (
        "Nodes of two clusters with the same internal address",
        "Refused (exit 2): addresses are unique, and never the observer's own",
    ),
    "7": (
        "An API server behind a proxy: another certificate, a path, any status",
        "Asked as istiod will ask, and the identity that answers is compared",
    ),
    "8": (
        "Equal podCIDRs where the Pods' own addresses differ",
        "The Pods' addresses are compared; podCIDR alone is a warning",
    ),
    # Refusals, early and with their cause
    "9": ("A quota that lets no Pod be made", "The API server's own sentence within 30 seconds"),
    "10": ("A platform that refuses fixed user ids", "Told before; the probe runs without one"),
    "11": (
        "A policy that lets nothing out of istio-system",
        "Policies that select the probe are named when it times out",
    ),
    "12": ("A namespace that is going and cannot", "Never done; its condition's message is shown"),
    "13": ("A proxy whose container dies again and again", "The container's last words within 30 seconds"),
    "14": ("A webhook whose Service is gone", "The preflight names it and the command that deletes it"),
    "15": ("An error of istioctl's in two lines", "Shown whole, bounded"),
    # What a cluster may be
    "16": ("Another range of NodePorts", "Learnt by a dry run; the field takes 1 to 65535"),
    "17": ("An overlay that sets another cluster domain", "The Gateways' hosts follow it, or it is refused"),
    "18": (
        "An istioctl older than what stands, or by two minors newer; proxies of another minor",
        "Consent; old proxies are a difference that names the command",
    ),
    "19": ("Every node tainted", "A preflight error; one setting of tolerations serves all that is made"),
    "20": (
        "Nodes that are cordoned, virtual or Windows; one replaced later",
        "Schedulable Linux nodes first; several addresses; one that vanished is drift",
    ),
    "21": (
        "discoverySelectors in an overlay; annotations that differ per cluster",
        "Refused where our namespaces do not match; settings per cluster",
    ),
    "22": (
        "Remote secrets of clusters that are gone, or with a key of this mesh",
        "Reported; a key of this mesh is a conflict",
    ),
    "22b": (
        "`istioctl analyze` on a finished mesh",
        "No warning: a gateway's Service has the ports that its role needs",
    ),
    "23": ("An istioctl newer than this release knows", "A warning, never a refusal"),
    # YAML that Go reads as we meant it
    "24": ("Names that YAML takes for numbers or truth", "Read back as the same string by kubectl and istioctl"),
    # One bad context, variable or file does not end the whole
    "25": ("A context whose identity provider cannot be reached", "That context's problem; the others are listed"),
    "26": ("A proxy without a scheme", "http, as Go assumes; a bad one is named with its cluster"),
    "27": ("No home directory", "Exit 2, with HOME and --state-dir named"),
    "28": ("A context without a user", "Anonymous, as kubectl; no exception's text in any message"),
    "29": ("Answers of the wrong shape", "A finding of that cluster; those of the others are kept"),
    # One strict reader of kubeconfigs
    "30": ("A flag that is a string", "Refused, with its line"),
    "31": ("Impersonation", "Honoured, or refused by name"),
    "32": ("A KUBECONFIG of two files, the user in the second", "Every front end can use what kubectl can"),
    "33": ("600 contexts with their certificates", "Each file is read once; local work is no deadline's"),
    "34": ("What client-go refuses to load", "Refused on the contexts screen, with its line"),
    "35": (
        "One server for several clusters, told apart by user or server name",
        "Only the identity of kube-system decides",
    ),
    "36": ("A token file that ends with a newline", "Trimmed"),
    "37": (
        "Certificates and keys that are omitted, encrypted, foreign or missing",
        "Sentences that name file, field and cure",
    ),
    "38": ("A CA shared by an anchor", "Read; aliases are bounded"),
    "39": ("Many contexts with one exec user", "The command runs once at a time, its result is shared"),
    # Never looser than kubectl
    "40": (
        "An identity provider with a certificate that nobody vouches for",
        "Never spoken to unverified; what is not supported is refused by name",
    ),
    "41": ("An API server over http, or unverified", "No credential and no key over http; unverified is a finding"),
    # Rows that can be told apart, commands that can be pasted
    "42": ("Long names that differ in the middle or at the end", "Cut in the middle; no two rows alike"),
    "43": ("A table that is made narrower", "All its columns stand after any resize"),
    "44": ("Names with blanks and brackets", "Every printed command is quoted and names its file"),
    "45": ("Completion", "Exit 0; files, contexts and meshes are completed"),
    "46": (
        "Certificates under the names of other tools, or in other formats",
        "Recognised, with the one command that cures",
    ),
    "47": ("A tab, a byte that is no UTF-8, a blank that is none, in a mesh file", "Named, with the line"),
    "48": ("Warnings of libraries", "Nothing but our own sentences reaches the terminal"),
    "49": (
        "Names with characters that show nothing or reorder, and very long ones",
        "Shown made safe, or left out with a word",
    ),
    # Attacks
    "S1": ("Addresses and nodes that are commands", "The exported script runs no command that is not ours"),
    "S2": ("A state in a cluster that names programs and kubeconfigs", "Nothing of a shared state is executed or read"),
    "S3": ("A root key of a person's own in the folder", "Never overwritten: a conflict names the file"),
    "S4": (
        "A folder for the root key that is linked, another's or open to others; two savers at once",
        "Refused as the state's is; the pair is whole",
    ),
    "S5": (
        "A kept root that has expired, may not sign, or is RSA",
        "The checks of a certificate folder, before anything is touched; RSA signs",
    ),
    "S6": (
        "Credentials repeated by an API server, a URL or a plugin, in any encoding",
        "Withheld by value wherever anything is written",
    ),
    "S7": (
        "Files of strangers that name commands or files to send",
        "Consent, with command and path; what is sent is named in plan and review",
    ),
    "S8": ("API servers without verification or without TLS", "A finding and a consent; never over http"),
    "S9": ("A cluster that answers without end", "Lists, parses and frames are bounded, with a sentence"),
    "S10": ("Text that makes a pattern slow", "Work grows as the text does"),
    "S11": ("Foreign text in advice", "Quoted by the one function"),
    "S12": ("Answers of the wrong shape", "Findings, never “unexpected”"),
    "S13": ("Files without an end, pipes and devices", "Refused or bounded, with the file's name"),
    "S14": (
        "What a killed run leaves in temporary places",
        "Swept at the next start; nothing secret under a name that nobody sweeps",
    ),
    "S15": ("Invisible characters; a core dump while a root key is held", "Made visible; no core is written"),
    # Changes of our own code that no test noticed
    "M1": ("The root's folder not made private", "A test notices"),
    "M2": ("A redirect followed with credentials", "A test notices"),
    "M3": ("Keys of a kubeconfig in a temporary folder, not in memory", "A test notices"),
    "M4": ("Server-side apply always by force", "A test notices"),
    "M5": ("Undo deletes whatever has the name", "A test notices"),
    "M6": ("A Secret's content shown in a plan", "A test notices"),
    "M7": ("A remote secret of another mesh taken for ours", "A test notices"),
    "M8": ("Any file sent as a pull secret", "A test notices"),
    "M9": ("A root key that cannot be read counted as none", "A test notices"),
}
TABLE = Table(ROOT / "docs/inputs.md", "inputs", tuple(INPUTS))


def render() -> str:
    """The table."""
    return TABLE.render(["What comes in", "What is right"], dict(INPUTS))


if __name__ == "__main__":
    TABLE.write(render())
