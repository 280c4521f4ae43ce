"""Pipedrive: traffic of December 2021, API version 1, with an API token.

The recorded account's own fields are created through the API, and their keys, which are
hashes, stand for one another from then on. Search was consistent by the time that the
recorder looked.
"""

import re

from recordings.exchange import scrubbed
from recordings.reading import Reading

HASH = re.compile(r"[0-9a-f]{40}")


class Pipedrive(Reading):
    name = "pipedrive"
    host = "api.pipedrive.com"
    list_keys = ("key", "id", "name", "value")
    # What belongs to the company and its users, and what a field is called.
    free = re.compile(
        r"(_time|time|date|company_id|user_id|order_nr|result_score|cc_email|email|pic_hash)$"
        r"|(owner_id|owner|user_id)\.\w+$|\$\.data\[\]\.(id|name|link|use_field)$"
        r"|\.options\[\]\.|\.picklist_data|related_objects|\.related_objects")

    def __init__(self):
        super().__init__()
        self.keys = {}
        self.token = None

    def arguments(self):
        arguments = ["pipedrive", "--scale", "inf", "--keep-v1", "--no-bars", "--daily-tokens", "1000000000"]
        for kind in ("deals", "persons", "organizations", "activities", "products", "leads"):
            arguments += [f"--{kind}", "0"]
        return arguments

    def begin(self, simulator, exchanges):
        simulator.set_clock(exchanges[0].at_ms)
        self.token = simulator.said["api_token"]
        for exchange in exchanges:
            if exchange.method == "GET" and exchange.path.endswith("Fields"):
                self.presuppose_fields(simulator, exchange)
                break

    def presuppose_fields(self, simulator, exchange):
        """The fields that the account has of its own before the first request."""
        here = simulator.send("GET", exchange.path, {"limit": 500}, self.headers()).body["data"]
        own = [str(field["id"]) for field in here if HASH.fullmatch(field["key"])]
        simulator.send("DELETE", exchange.path, {"ids": ",".join(own)}, self.headers())
        for field in exchange.answer["data"]:
            if isinstance(field, dict) and HASH.fullmatch(field["key"]):
                wanted = {"name": field["name"], "field_type": field["field_type"]}
                if field.get("options"):
                    wanted["options"] = [{"label": option["label"]} for option in field["options"]]
                answer = simulator.send("POST", exchange.path, None, self.headers(), wanted)
                if answer.status == 201:
                    self.learn_field(field, answer.body["data"])

    def learn_field(self, recorded, actual):
        self.keys[recorded["key"]] = actual["key"]
        self.ids.learn(recorded["id"], actual["id"])
        options = zip(recorded.get("options") or [], actual.get("options") or [])
        for before, now in options:
            self.ids.learn(before["id"], now["id"])

    def headers(self):
        return {"x-api-token": self.token}

    def route(self, exchange):
        path = re.sub(r"(?<=/)\d+(?=/|$)", "{id}", exchange.path)
        return f"{exchange.method} {path} {exchange.status}"

    def presuppose(self, simulator, exchange):
        """Nothing: the recorder created every record that it used."""

    def send(self, simulator, exchange):
        simulator.set_clock(exchange.at_ms)
        return self.once(simulator, exchange)

    def once(self, simulator, exchange):
        query = {name: self.mapped_list(value) if name == "ids" else scrubbed(value)
                 for name, value in exchange.query.items() if name != "api_token"}
        body = self.mapped(exchange.body) if exchange.method in ("POST", "PUT") else None
        return simulator.send(
            exchange.method, self.mapped_path(exchange.path), query, self.headers(), body)

    def mapped_list(self, ids):
        return ",".join(str(self.ids.here(one)) for one in ids.split(","))

    def mapped_key(self, name):
        return HASH.sub(lambda found: self.keys.get(found[0], found[0]), name)

    def judged(self, exchange, found):
        return [HASH.sub("{field}", difference) for difference in found]

    def learn(self, exchange, answer):
        if exchange.method != "POST" or answer.status != 201:
            return
        recorded, actual = exchange.answer["data"], answer.body["data"]
        if exchange.path.endswith("Fields"):
            self.learn_field(recorded, actual)
        else:
            self.ids.learn(recorded["id"], actual["id"])

    def same(self, recorded, actual, path):
        if isinstance(recorded, str) and HASH.search(recorded):
            return self.mapped_key(recorded) == actual
        return super().same(recorded, actual, path)

    def key(self, member):
        if isinstance(member, dict) and isinstance(member.get("key"), str):
            return "key", self.mapped_key(member["key"])
        return super().key(member)
