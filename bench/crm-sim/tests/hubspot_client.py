"""Drives the simulator with HubSpot's own Python client, unmodified.

usage: official_client.py BASE_URL ACCESS_TOKEN

Needs `hubspot-api-client` (pip) and a simulator without limits. Exits non-zero
at the first mismatch.
"""

import sys

from hubspot import HubSpot
from hubspot.crm.companies import SimplePublicObjectInputForCreate
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInput,
    BatchReadInputSimplePublicObjectId,
    Filter,
    FilterGroup,
    PublicObjectSearchRequest,
    SimplePublicObjectBatchInput,
    SimplePublicObjectId,
)
from hubspot.crm.contacts.exceptions import ApiException


def check(condition, what):
    if not condition:
        print(f"mismatch: {what}", file=sys.stderr)
        sys.exit(1)


def list_contacts(client):
    """All contacts, by the client's own paging (100 a page)."""
    contacts = client.crm.contacts.get_all(properties=["email", "loyalty_points"])
    ids = [int(contact.id) for contact in contacts]
    check(ids, "the list is empty")
    check(ids == sorted(set(ids)), "the list is not in id order, each once")
    for contact in contacts:
        check(contact.properties["hs_object_id"] == contact.id, "hs_object_id is not the id")
        check(set(contact.properties) == {
            "createdate", "email", "hs_object_id", "lastmodifieddate", "loyalty_points",
        }, f"properties are {sorted(contact.properties)}")
        check(contact.created_at <= contact.updated_at, "created after its last update")
        check(contact.archived is False, "an archived contact is listed")
    return contacts


def page_by_hand(client, expected):
    seen, after = [], None
    while True:
        page = client.crm.contacts.basic_api.get_page(limit=37, after=after)
        seen += [contact.id for contact in page.results]
        if page.paging is None:
            break
        after = page.paging.next.after
    check(seen == [contact.id for contact in expected], "pages of 37 differ from pages of 100")


def read_properties(client):
    properties = client.crm.properties.core_api.get_all("contacts").results
    by_name = {entry.name: entry for entry in properties}
    check(by_name["loyalty_points"].type == "number", "loyalty_points is no number")
    tiers = [option.value for option in by_name["customer_tier"].options]
    check(tiers == ["bronze", "silver", "gold", "platinum"], f"tiers are {tiers}")
    return list(by_name)


def read_one(client, contact, names):
    read = client.crm.contacts.basic_api.get_by_id(contact.id, properties=names)
    check(set(read.properties) == set(names), "a full read does not hold every property")
    check(read.updated_at == contact.updated_at, "list and read disagree")
    try:
        client.crm.contacts.basic_api.get_by_id("1")
        check(False, "contact 1 exists")
    except ApiException as error:
        check(error.status == 404, f"a missing contact is {error.status}")


def search(client, contacts):
    ordered = sorted(contacts, key=lambda contact: contact.updated_at)
    low = ordered[len(ordered) // 4].updated_at
    high = ordered[len(ordered) * 3 // 4].updated_at
    milliseconds = lambda moment: str(round(moment.timestamp() * 1000))
    expected = [contact.id for contact in contacts if low <= contact.updated_at < high]
    found, after = [], "0"
    while after is not None:
        page = client.crm.contacts.search_api.do_search(PublicObjectSearchRequest(
            filter_groups=[FilterGroup(filters=[
                Filter(property_name="lastmodifieddate", operator="GTE", value=milliseconds(low)),
                Filter(property_name="lastmodifieddate", operator="LT", value=milliseconds(high)),
            ])],
            sorts=[{"propertyName": "hs_object_id", "direction": "ASCENDING"}],
            properties=["email"],
            limit=200,
            after=after,
        ))
        check(page.total == len(expected), f"total is {page.total}, not {len(expected)}")
        found += [contact.id for contact in page.results]
        after = page.paging.next.after if page.paging else None
    check(found == expected, "search and list disagree")


def batches(client, contacts):
    wanted = [contact.id for contact in contacts[:3]]
    answer = client.crm.contacts.batch_api.read(BatchReadInputSimplePublicObjectId(
        inputs=[SimplePublicObjectId(id=identity) for identity in wanted + ["1"]],
        properties=["email"],
        properties_with_history=[],
    ))
    check(answer.status == "COMPLETE", f"batch status {answer.status}")
    check(sorted(entry.id for entry in answer.results) == sorted(wanted), "batch read differs")
    check(answer.num_errors == 1, f"{answer.num_errors} errors")
    check(answer.errors[0].context["ids"] == ["1"], "the missing id is not named")
    answer = client.crm.contacts.batch_api.update(BatchInputSimplePublicObjectBatchInput(inputs=[
        SimplePublicObjectBatchInput(id=identity, properties={"city": "Zürich \"West\""})
        for identity in wanted
    ]))
    for entry in answer.results:
        check(entry.properties["city"] == "Zürich \"West\"", "the written value came back changed")


def write(client):
    basic = client.crm.companies.basic_api
    created = basic.create(SimplePublicObjectInputForCreate(
        properties={"name": "Acme", "domain": "acme.test"}, associations=[],
    ))
    check(created.properties["website"] == "acme.test", "the website is not derived")
    basic.archive(created.id)
    archived = basic.get_page(archived=True).results
    check(created.id in [company.id for company in archived], "the archived list lacks it")


def main():
    base_url, access_token = sys.argv[1:3]
    client = HubSpot(access_token=access_token, host=base_url)
    contacts = list_contacts(client)
    page_by_hand(client, contacts)
    names = read_properties(client)
    read_one(client, contacts[0], names)
    search(client, contacts)
    batches(client, contacts)
    write(client)
    print(f"ok: {len(contacts)} contacts, {len(names)} properties")


if __name__ == "__main__":
    main()
