"""Salesforce: traffic of December 2021 and January 2022, API version 42.0.

The recorder logged in with the SOAP API, which is not simulated: its requests go on with
a token of the OAuth endpoint. Custom fields are declared, since the recorded account had
them; records that were there before are created through the API, with the values that
the first answer shows.
"""

import re

from recordings.exchange import scrubbed
from recordings.reading import Reading

RECORD_ID = re.compile(r"[0-9A-Za-z]{15}(?:[0-9A-Za-z]{3})?")
# Objects that the recorder wrote, which begin empty.
COUNTS = ["Account", "Contact", "Lead", "Opportunity"]
# What the recorded account had of its own, as its records show it.
FIELDS = [
    *(f"Account:{name}__c:{kind}" for name, kind in {
        "CustomerPriority": "picklist", "SLA": "picklist", "Active": "picklist",
        "NumberofLocations": "double", "UpsellOpportunity": "picklist",
        "SLASerialNumber": "string", "SLAExpirationDate": "date",
        "Custom_External_ID": "string", "email_field": "email",
        "ABM_Tier": "string", "ABM_Rank": "double"}.items()),
    *(f"Contact:{name}__c:{kind}" for name, kind in {
        "Level": "picklist", "Languages": "string", "Custom_External_ID": "string",
        "text_field": "string", "textarea_field": "textarea", "checkbox_field": "boolean",
        "currency_field": "currency", "date_field": "date", "datetime_field": "datetime",
        "email_field": "email", "number_field": "double", "percent_field": "percent",
        "phone_field": "phone", "picklist_field": "picklist", "url_field": "url",
        "float_field": "double"}.items()),
]


class Salesforce(Reading):
    name = "salesforce"
    host = "my.salesforce.com"
    list_keys = ("Id", "id", "name")
    # Who did it, and what the account's fields are called.
    free = re.compile(
        r"(ById|OwnerId|PhotoUrl|Date|Modstamp|\.url|label|inlineHelpText|byteLength|length|"
        r"defaultValue\w*|digits|precision|scale)$|\.urls\.|picklistValues")

    def __init__(self):
        super().__init__()
        self.token = None
        self.made = set()

    def arguments(self):
        arguments = ["salesforce", "--scale", "inf"]
        for kind in COUNTS:
            arguments += ["--count", f"{kind}=0"]
        for field in FIELDS:
            arguments += ["--field", field]
        return arguments

    def begin(self, simulator, exchanges):
        simulator.set_clock(exchanges[0].at_ms)
        self.token = simulator.said["access_token"]
        self.made = {entry["id"] for exchange in exchanges for entry in self.created(exchange)}

    def created(self, exchange):
        """What a request created."""
        if exchange.method != "POST" or exchange.path.endswith("/Soap/u/42.0"):
            return []
        answer = exchange.answer if isinstance(exchange.answer, list) else [exchange.answer]
        return [entry for entry in answer if isinstance(entry, dict) and entry.get("success")]

    def headers(self):
        return {"authorization": f"Bearer {self.token}"}

    def route(self, exchange):
        path = re.sub(r"(?<=/)[0-9A-Za-z]{18}(?=/|$)", "{id}", exchange.path)
        return f"{exchange.method} {path} {exchange.status}"

    def presuppose(self, simulator, exchange):
        """Records that an answer shows and that no request has created."""
        answer = exchange.answer
        if exchange.method != "GET" or not isinstance(answer, dict):
            return
        for record in [answer, *answer.get("records", [])]:
            identity = record.get("Id") if isinstance(record, dict) else None
            if identity and identity not in self.made and identity not in self.ids.known:
                self.create(simulator, identity, record)

    def create(self, simulator, identity, record):
        kind = record["attributes"]["type"]
        known = {name: record.get(name) for name in ("Name", "LastName", "FirstName", "Email")
                 if record.get(name) and not (kind != "Account" and name == "Name")}
        if kind != "Account":
            known.setdefault("LastName", "Unknown")
        else:
            known.setdefault("Name", "Unknown")
        answer = simulator.send(
            "POST", f"/services/data/v42.0/sobjects/{kind}", None, self.headers(), known)
        if answer.status == 201:
            self.ids.learn(identity, answer.body["id"])

    def send(self, simulator, exchange):
        simulator.set_clock(exchange.at_ms)
        return self.once(simulator, exchange)

    def once(self, simulator, exchange):
        query = {name: self.mapped_text(value) for name, value in exchange.query.items()}
        body = self.mapped(exchange.body) if exchange.method in ("POST", "PATCH") else None
        return simulator.send(
            exchange.method, self.mapped_path(exchange.path), query, self.headers(), body)

    def mapped_text(self, text):
        """A query with the simulator's ids."""
        return RECORD_ID.sub(lambda found: str(self.ids.here(found[0])), scrubbed(text))

    def learn(self, exchange, answer):
        if not isinstance(answer.body, (dict, list)):
            return
        actual = answer.body if isinstance(answer.body, list) else [answer.body]
        recorded = exchange.answer if isinstance(exchange.answer, list) else [exchange.answer]
        if exchange.method == "POST" and len(actual) == len(recorded):
            for before, now in zip(recorded, actual):
                if isinstance(before, dict) and before.get("success") and now.get("id"):
                    self.ids.learn(before["id"], now["id"])
