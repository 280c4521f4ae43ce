"""Intercom: traffic of March and April 2021, API version 2.3.

What the recorder had created before is created through the API. Tags cannot be created
there, so that the recorded ones stand for the simulator's, by name or else by place.
"""

import re

from recordings.reading import Reading

# The recorder waited up to two minutes for the index.
LAG_MS_MAX = 150_000


class Intercom(Reading):
    name = "intercom"
    host = "api.intercom.io"
    list_keys = ("full_name", "id", "name")
    # Times are seconds since the epoch; descriptions and names of tags are the account's.
    free = re.compile(
        r"(_at|request_id|workspace_id|avatar|\.data\[\]\.(label|description|name|id|admin_id))$"
        r"|custom_attributes\.date_field|\$\.name$")

    def __init__(self):
        super().__init__()
        self.writes_ms = []
        self.token = None

    def arguments(self):
        arguments = ["intercom", "--scale", "inf", "--default-version", "2.3"]
        for kind in ("contacts", "companies", "conversations"):
            arguments += [f"--{kind}", "0"]
        return arguments

    def begin(self, simulator, exchanges):
        simulator.set_clock(exchanges[0].at_ms)
        self.token = simulator.said["private_app_token"]
        here = simulator.send("GET", "/tags", None, self.headers()).body["data"]
        recorded = next(one.answer["data"] for one in exchanges if one.path == "/tags")
        by_name = {tag["name"]: tag["id"] for tag in here}
        rest = [tag["id"] for tag in here if tag["name"] not in {one["name"] for one in recorded}]
        for tag in recorded:
            self.ids.learn(tag["id"], by_name.get(tag["name"]) or rest.pop(0))

    def headers(self):
        return {"authorization": f"Bearer {self.token}"}

    def route(self, exchange):
        path = re.sub(r"[0-9a-f]{24}|(?<=/)\d+", "{id}", exchange.path)
        return f"{exchange.method} {path} {exchange.status}"

    def presuppose(self, simulator, exchange):
        if exchange.method == "GET" and exchange.path == "/contacts":
            for contact in exchange.answer["data"]:
                if contact["id"] not in self.ids.known:
                    self.create(simulator, contact)

    def create(self, simulator, contact):
        simulator.set_clock(contact["created_at"] * 1000)
        known = {name: contact[name] for name in ("role", "email", "name", "phone")}
        external = contact["external_id"]
        if contact["role"] == "user":
            known["external_id"] = external if "<" not in external else contact["id"]
        answer = simulator.send("POST", "/contacts", None, self.headers(), known)
        if answer.status != 200:
            raise RuntimeError(f"cannot presuppose {known}: {answer.body}")
        self.ids.learn(contact["id"], answer.body["id"])

    def send(self, simulator, exchange):
        simulator.set_clock(exchange.at_ms)
        if exchange.path == "/contacts/search":
            return self.searched(simulator, exchange, self.writes_ms, LAG_MS_MAX)
        if exchange.method != "GET":
            self.writes_ms.append(exchange.at_ms)
        return self.once(simulator, exchange)

    def once(self, simulator, exchange):
        body = self.mapped(exchange.body) if exchange.method in ("POST", "PUT") else None
        return simulator.send(
            exchange.method, self.mapped_path(exchange.path), exchange.query, self.headers(), body)

    def learn(self, exchange, answer):
        created = exchange.method == "POST" and exchange.path == "/contacts"
        if created and answer.status == 200:
            self.ids.learn(exchange.answer["id"], answer.body["id"])
