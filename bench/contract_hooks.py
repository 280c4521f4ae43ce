"""What schemathesis cannot know: which ids there are, and what a component is.

Every other case is led to something that exists (the environment says what); without it
nearly all answers would be 404. What the whole run needs is neither deleted nor disabled.
"""

import json
import os
import zlib

import schemathesis

EXISTING = json.loads(os.environ.get("TIDEGATE_PROOF_EXISTING", "{}"))
# By what it is used for: what a DELETE may have, and the rest.
SPARE, KEPT = EXISTING.get("spare", {}), EXISTING.get("kept", {})


@schemathesis.serializer("application/wasm")
def wasm(_context, value):
    return value if isinstance(value, bytes) else str(value).encode()


def is_led(case):
    """The same answer for the same case, whatever came before it."""
    text = f"{case.method} {case.path} {case.path_parameters} {case.query} {case.body}"
    return zlib.crc32(text.encode("utf-8", "surrogatepass")) % 2 == 0


@schemathesis.hook
def before_call(_context, case, _kwargs):
    if case.path.endswith("/subscriptions/{subscription}") and isinstance(case.body, dict):
        # Whatever is posted to it goes nowhere.
        case.body["url"] = "https://nowhere.invalid/"
    if not is_led(case):
        return
    ends = case.method == "DELETE" or case.path.endswith(("/disable", "/cancel"))
    existing = SPARE if ends else KEPT
    for name in list(case.path_parameters or {}):
        if name in existing:
            case.path_parameters[name] = existing[name]
    if case.method == "PUT" and isinstance(case.body, dict):
        lead_body(case)


def lead_body(case):
    """A document that names what there is, and a target that is the proof's own."""
    if case.path.endswith("/connections/{connection}"):
        case.body["connector"] = KEPT.get("connector")
    elif case.path.endswith("/syncs/{sync}"):
        case.body["connection"] = KEPT.get("connection")
        case.body["target"] = {"url": KEPT.get("target")}
    elif case.path.endswith("/subscriptions/{subscription}"):
        case.body["secret"] = KEPT.get("secret")
