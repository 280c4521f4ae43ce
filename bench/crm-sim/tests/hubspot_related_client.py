"""Drives the simulator's associations, schemas, own object types, tickets, merges and
webhooks with HubSpot's own Python client, unmodified. The signatures of the webhooks are
checked by the client's own verifier.

usage: hubspot_related_client.py BASE_URL ACCESS_TOKEN APP_ID DEVELOPER_KEY CLIENT_SECRET

Needs `hubspot-api-client` (pip) and a simulator without limits that has one object type
of its own. Exits non-zero at the first mismatch.
"""

import json
import queue
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from hubspot import HubSpot
from hubspot.crm.associations.v4 import (
    AssociationSpec,
    BatchInputPublicAssociationMultiArchive,
    BatchInputPublicAssociationMultiPost,
    BatchInputPublicFetchAssociationsBatchRequest,
    PublicAssociationMultiArchive,
    PublicAssociationMultiPost,
    PublicFetchAssociationsBatchRequest,
    PublicObjectId,
)
from hubspot.crm.contacts import SimplePublicObjectInputForCreate
from hubspot.utils.signature import Signature
from hubspot.webhooks import (
    SettingsChangeRequest,
    SubscriptionCreateRequest,
    ThrottlingSettings,
)

WAIT_SECONDS = 60


def check(condition, what):
    if not condition:
        print(f"mismatch: {what}", file=sys.stderr)
        sys.exit(1)


def schemas(client):
    own = client.crm.schemas.core_api.get_all().results
    check(len(own) == 1, f"{len(own)} own types")
    again = client.crm.schemas.core_api.get_by_id(own[0].object_type_id)
    check(again.fully_qualified_name == own[0].fully_qualified_name, "two reads of a schema differ")
    check(any(end.to_object_type_id == "0-1" for end in own[0].associations),
          "the own type is not associated with contacts")
    return own[0]


def own_objects(client, schema):
    basic = client.crm.objects.basic_api
    seen, after = [], None
    while True:
        page = basic.get_page(schema.fully_qualified_name, limit=33, after=after)
        seen += [int(record.id) for record in page.results]
        if page.paging is None:
            break
        after = page.paging.next.after
    check(seen and seen == sorted(set(seen)), "own records are not in id order, each once")
    named = schema.primary_display_property
    created = basic.create(schema.object_type_id, SimplePublicObjectInputForCreate(
        properties={named: "Press 7"}, associations=[]))
    read = basic.get_by_id(schema.object_type_id, created.id, properties=[named])
    check(read.properties[named] == "Press 7", "an own record reads back changed")
    return seen


def tickets(client):
    page = client.crm.tickets.basic_api.get_page(
        limit=50, properties=["hs_pipeline_stage"],
        properties_with_history=["hs_pipeline_stage"])
    for ticket in page.results:
        history = ticket.properties_with_history["hs_pipeline_stage"]
        check(history[0].value == ticket.properties["hs_pipeline_stage"],
              "the newest stage is not the current one")
    stages = client.crm.pipelines.pipelines_api.get_all("tickets").results[0].stages
    known = {stage.id for stage in stages}
    check({ticket.properties["hs_pipeline_stage"] for ticket in page.results} <= known,
          "a ticket is in a stage that its pipeline lacks")
    owners = client.crm.owners.owners_api.get_page(limit=10)
    check(owners.results[0].id and owners.paging.next.after, "owners have no second page")


def associations(client):
    api = client.crm.associations.v4
    contacts = [contact.id for contact in client.crm.contacts.basic_api.get_page(limit=100).results]
    answer = api.batch_api.get_page("contacts", "companies",
        BatchInputPublicFetchAssociationsBatchRequest(
            inputs=[PublicFetchAssociationsBatchRequest(id=one) for one in contacts]))
    found = {result._from.id: [str(end.to_object_id) for end in result.to]
             for result in answer.results}
    alone = [one for one in contacts if one not in found]
    check(answer.num_errors == len(alone), "records without associations are not all errors")
    for contact in list(found)[:3]:
        page = api.basic_api.get_page("contacts", contact, "companies")
        check([str(end.to_object_id) for end in page.results] == found[contact],
              "one by one and in a batch differ")
    contact, company = alone[0], found[next(iter(found))][0]
    primary = AssociationSpec(association_category="HUBSPOT_DEFINED", association_type_id=1)
    made = api.basic_api.create("contacts", contact, "companies", company, [primary])
    check(made.labels == ["Primary"], f"labels are {made.labels}")
    api.batch_api.archive("contacts", "companies", BatchInputPublicAssociationMultiArchive(inputs=[
        PublicAssociationMultiArchive(_from=PublicObjectId(id=contact), to=[PublicObjectId(id=company)])]))
    check(not api.basic_api.get_page("contacts", contact, "companies").results,
          "an archived association is still there")
    answer = api.batch_api.create("contacts", "companies", BatchInputPublicAssociationMultiPost(inputs=[
        PublicAssociationMultiPost(_from=PublicObjectId(id=contact), to=PublicObjectId(id=company),
                                   types=[primary])]))
    check(answer.status == "COMPLETE" and len(answer.results) == 1, "the batch made nothing")
    read = client.crm.contacts.basic_api.get_by_id(contact, associations=["companies"])
    ends = {end.id for end in read.associations["companies"].results}
    check(ends == {company}, f"a contact is read with {ends}")


class Receiver(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        self.server.received.put((dict(self.headers.items()), self.path, body))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_):
        pass


def webhooks(client, developer, app_id, secret):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    server.received = queue.Queue()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    target = f"http://127.0.0.1:{server.server_address[1]}/hooks?of=hubspot%3Acrm"
    developer.webhooks.settings_api.configure(app_id, SettingsChangeRequest(
        target_url=target, throttling=ThrottlingSettings(max_concurrent_requests=1)))
    wanted = developer.webhooks.subscriptions_api
    for event, name in [("contact.creation", None), ("contact.propertyChange", "city"),
                        ("contact.deletion", None), ("company.merge", None)]:
        wanted.create(app_id, SubscriptionCreateRequest(
            event_type=event, property_name=name, active=True))
    check(len(wanted.get_all(app_id).results) == 4, "not every subscription is listed")
    basic = client.crm.contacts.basic_api
    made = basic.create(SimplePublicObjectInputForCreate(
        properties={"city": "Łódź", "firstname": "Ada"}, associations=[]))
    basic.archive(made.id)
    expected = {"contact.creation", "contact.propertyChange", "contact.deletion"}
    told = {}
    while set(told) != expected:
        headers, path, body = server.received.get(timeout=WAIT_SECONDS)
        headers = {name.lower(): value for name, value in headers.items()}
        uri = target.replace("%3A", ":")
        check(target.endswith(path), f"delivered to {path}")
        stamp = headers["x-hubspot-request-timestamp"]
        signature = headers["x-hubspot-signature-v3"]
        valid = lambda text: Signature.is_valid(
            signature=signature, client_secret=secret, request_body=text, http_uri=uri,
            http_method="POST", signature_version="v3", timestamp=stamp)
        check(valid(body), "the signature of version 3 does not hold")
        check(not valid(body + " "), "the signature holds for another body")
        check(Signature.is_valid(headers["x-hubspot-signature"], secret, body,
                                 signature_version="v1"), "the signature of version 1 does not hold")
        for event in json.loads(body):
            check(str(event["objectId"]) == made.id, "an event of another record")
            told[event["subscriptionType"]] = event
    check(told["contact.propertyChange"]["propertyValue"] == "Łódź", "the value came changed")
    server.shutdown()


def main():
    base_url, access_token, app_id, developer_key, secret = sys.argv[1:6]
    client = HubSpot(access_token=access_token, host=base_url)
    developer = HubSpot(api_key=developer_key, host=base_url)
    records = own_objects(client, schemas(client))
    tickets(client)
    associations(client)
    webhooks(client, developer, int(app_id), secret)
    print(f"ok: {len(records)} records of the account's own type")


if __name__ == "__main__":
    main()
