"""HubSpot: traffic of February 2022, one half with an API key, one half with OAuth.

API keys are gone; the private app's token has taken their place and their headers.
What the recorder had created before is created through the API, with the values that
its first answer shows, at the moment that it names. The index of search lagged behind
by up to half a minute: where the answer is that of an older index, the replay sets the
lag by which the simulator's answer is the same.
"""

import re

from recordings.exchange import time_ms
from recordings.reading import Reading

# What the recorded account had of its own.
PROPERTIES = [
    "contacts:text_field:string", "contacts:number_field:number", "contacts:date_field:date",
    "companies:facebookfans:number",
]
TYPES = [
    "grouparoo_object:3604285:Grouparoo object:Grouparoo objects:0:"
    "grouparoo_object_property=string,email=string,first_name=string,last_name=string,"
    "number_field=number,text_field=string:contacts",
    "grouparoo_company:3821545:Grouparoo Company:Grouparoo Companies:0:"
    "grouparoo_company_property=string:companies",
]
# What the API itself sets, so that no request may.
SYSTEM = {
    "createdate", "hs_createdate", "lastmodifieddate", "hs_lastmodifieddate", "hs_object_id"}
# The longest that the recorder ever waited for the index.
LAG_MS_MAX = 90_000


class HubSpot(Reading):
    name = "hubspot"
    host = "api.hubapi.com"
    # Descriptions are the account's; a domain was scrubbed in addresses only.
    free = re.compile(
        r"(hs_email_domain|correlationId|link)$|^\$(\.results\[\])?\.(properties\[\]|labels|"
        r"associations|id|name|fullyQualifiedName|objectTypeId|\w+Propert\w+)")

    def __init__(self):
        super().__init__()
        self.writes_ms = []
        self.token = {}
        self.before = {}

    def arguments(self):
        arguments = ["hubspot", "--scale", "inf", "--derived-properties"]
        for kind in ("contacts", "companies", "deals", "tickets"):
            arguments += [f"--{kind}", "0"]
        for declared in TYPES:
            arguments += ["--custom-type", declared]
        for declared in PROPERTIES:
            arguments += ["--property", declared]
        return arguments

    def begin(self, simulator, exchanges):
        self.before = self.first_values(exchanges)
        simulator.set_clock(exchanges[0].at_ms)
        simulator.control("/settings", {"access_token_ttl_s": 1_000_000})
        tokens = simulator.control("/tokens", {})
        self.token = {
            True: tokens["private_app_token"],
            False: tokens["access_token"],
        }

    def route(self, exchange):
        path = re.sub(r"/email/[^/]+", "/email/{email}", exchange.path)
        path = re.sub(r"(?<=/)\d+(?=/|$)", "{id}", path)
        return f"{exchange.method} {path} {exchange.status}"

    def first_values(self, exchanges):
        """The values that records have until the recorder first writes them."""
        values, written = {}, set()
        for exchange in exchanges:
            if isinstance(exchange.body, dict) and "/batch/" in exchange.path:
                written |= {entry.get("id") for entry in exchange.body.get("inputs", [])}
            if not isinstance(exchange.answer, dict) or "/objects/" not in exchange.path:
                continue
            for entry in exchange.answer.get("results", []):
                if entry["id"] not in written:
                    values[entry["id"]] = {**entry["properties"], **values.get(entry["id"], {})}
        return values

    def presuppose(self, simulator, exchange):
        if exchange.path.startswith("/crm-associations/"):
            self.presuppose_ends(simulator, exchange)
            return
        kind = re.match(r"/crm/v3/objects/([\w-]+)/(search|batch/(?:update|archive))", exchange.path)
        if not kind or exchange.status >= 300:
            return
        shown = [] if not isinstance(exchange.answer, dict) else exchange.answer["results"]
        named = {entry["id"]: entry for entry in shown}
        for entry in (exchange.body or {}).get("inputs", []):
            named.setdefault(entry["id"], {"properties": {}})
        for identity, entry in named.items():
            if identity not in self.ids.known:
                self.create(simulator, kind[1], identity, entry, exchange)

    def presuppose_ends(self, simulator, exchange):
        """The recorder associated contacts with companies, and had made the contacts
        through version 1."""
        ends = {"companies": (exchange.body or {}).get("toObjectId")}
        ends["contacts"] = (exchange.body or {}).get("fromObjectId")
        in_path = re.search(r"/associations/(\d+)/HUBSPOT_DEFINED/1$", exchange.path)
        if in_path:
            ends["contacts"] = in_path[1]
        for kind, identity in ends.items():
            if identity is not None and str(identity) not in self.ids.known:
                self.create(simulator, kind, str(identity), {"properties": {}}, exchange)

    def create(self, simulator, kind, identity, entry, exchange):
        created = entry.get("createdAt")
        simulator.set_clock(time_ms(created) if created else exchange.at_ms - LAG_MS_MAX)
        shown = {**entry["properties"], **self.before.get(identity, {})}
        properties = {name: value for name, value in shown.items()
                      if value is not None and name not in SYSTEM}
        answer = simulator.send(
            "POST", f"/crm/v3/objects/{kind}", None, self.headers(True), {"properties": properties})
        if answer.status != 201:
            raise RuntimeError(f"{exchange.place}: cannot presuppose {properties}: {answer.body}")
        self.ids.learn(identity, answer.body["id"])

    def headers(self, keyed):
        return {"authorization": f"Bearer {self.token[keyed]}"}

    def send(self, simulator, exchange):
        simulator.set_clock(exchange.at_ms)
        if exchange.status == 429:
            return self.throttled(simulator, exchange)
        if not exchange.path.endswith("/search"):
            if exchange.method != "GET":
                self.writes_ms.append(exchange.at_ms)
            return self.once(simulator, exchange)
        return self.searched(simulator, exchange, self.writes_ms, LAG_MS_MAX)

    def once(self, simulator, exchange):
        keyed = "hapikey" in exchange.query
        query = {name: value for name, value in exchange.query.items() if name != "hapikey"}
        body = exchange.body if exchange.method != "GET" else None
        return simulator.send(
            exchange.method, self.mapped_path(exchange.path), query,
            self.headers(keyed), self.mapped(body) if body else None)

    def throttled(self, simulator, exchange):
        """The limits, down to one search a second, refuse the second search."""
        simulator.control("/settings", {"limit_scale": 0.0001})
        self.once(simulator, exchange)
        answer = self.once(simulator, exchange)
        simulator.control("/settings", {"limit_scale": 0})
        return answer

    def judged(self, exchange, found):
        """A search soon after a write may differ in what the index has by then: record by
        record in the recording, all of a moment in the simulator."""
        if not exchange.path.endswith("/search") or not self.recent(exchange):
            return found
        return [f"while the index catches up: {difference}" for difference in found]

    def recent(self, exchange):
        return {moment for moment in self.writes_ms if exchange.at_ms - moment <= LAG_MS_MAX}

    def key(self, member):
        if isinstance(member, dict) and member.get("id") in self.ids.known:
            return "id", self.ids.known[member["id"]]
        return self.written(member) or super().key(member)

    def plain_key(self, member):
        if isinstance(member, dict) and member.get("id") in self.ids.known.values():
            return "id", member["id"]
        return self.written(member) or super().plain_key(member)

    def written(self, member):
        """What identifies a record that was just created: its own values; and a kind of
        association, whose number is the account's: its ends."""
        if isinstance(member, dict) and "fromObjectTypeId" in member:
            return member["fromObjectTypeId"], member["toObjectTypeId"], member["name"]
        properties = member.get("properties") if isinstance(member, dict) else None
        if not isinstance(properties, dict):
            return None
        return tuple(properties.get(name) for name in (
            "email", "domain", "name", "firstname", "first_name", "grouparoo_object_property"))

    def learn(self, exchange, answer):
        if answer.status != 201 or not isinstance(answer.body, dict):
            return
        pairs, _, _ = self.pair(exchange.answer["results"], answer.body["results"], "$", False)
        for recorded, actual in pairs:
            self.ids.learn(recorded["id"], actual["id"])
