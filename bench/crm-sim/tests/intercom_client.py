"""Drives the simulator with Intercom's own Python client, unmodified.

usage: intercom_client.py BASE_URL ACCESS_TOKEN

Needs `python-intercom` (pip) and a simulator without limits. Exits non-zero at the
first mismatch. Searches are paged by hand: the client's own pager sends the first page's
request again and again.
"""

import sys

from intercom import Intercom
from intercom.core.api_error import ApiError


def check(condition, what):
    if not condition:
        print(f"mismatch: {what}", file=sys.stderr)
        sys.exit(1)


def list_contacts(client):
    """All contacts, by the client's own paging."""
    contacts = list(client.contacts.list(per_page=50))
    ids = [contact.id for contact in contacts]
    check(len(ids) > 100, f"only {len(ids)} contacts are listed")
    check(len(set(ids)) == len(ids), "a contact is listed twice")
    for contact in contacts:
        check(contact.created_at <= contact.updated_at, "created after its last update")
    return contacts


def read_one(client, contact):
    read = client.contacts.find(contact.id)
    check(read.id == contact.id, "another contact was read")
    check(read.updated_at == contact.updated_at, "list and read disagree")
    try:
        client.contacts.find("6064e3d3ffffffffffffffff")
        check(False, "a contact that does not exist was read")
    except ApiError as error:
        check(error.status_code == 404, f"a missing contact is {error.status_code}")


def search(client, contacts):
    """Everything that changed on the day of the median contact or later."""
    moments = sorted(contact.updated_at for contact in contacts)
    day = moments[len(moments) // 2]
    query = {"operator": "OR", "value": [
        {"field": "updated_at", "operator": ">", "value": day},
        {"field": "updated_at", "operator": "=", "value": day},
    ]}
    found, cursor = [], None
    while True:
        pagination = {"per_page": 25}
        if cursor:
            pagination["starting_after"] = cursor
        page = client.contacts.search(query=query, pagination=pagination).response
        found += [contact.id for contact in page.data]
        if page.pages is None or page.pages.next is None:
            break
        cursor = page.pages.next.starting_after
    check(len(found) == len(set(found)), "a contact was found twice")
    expected = {contact.id for contact in contacts if contact.updated_at >= day}
    check(expected <= set(found), "the search misses contacts that the list has")


def scroll(client):
    companies = list(client.companies.scroll())
    check(companies, "no companies were scrolled")
    ids = [company.id for company in companies]
    check(len(set(ids)) == len(ids), "a company was scrolled twice")
    return companies


def write(client):
    created = client.contacts.create(request={
        "role": "user", "external_id": "fidelity-1", "email": "fidelity@example.com", "name": "Ada"})
    updated = client.contacts.update(created.id, name="Ada L.")
    check(updated.name == "Ada L.", f"the name is {updated.name}")
    try:
        client.contacts.create(request={"role": "user", "external_id": "fidelity-1"})
        check(False, "a second contact has the same external id")
    except ApiError as error:
        check(error.status_code == 409, f"a duplicate is {error.status_code}")
        check(created.id in str(error.body), "the conflict does not name the contact")
    client.contacts.archive(created.id)
    try:
        client.contacts.find(created.id)
        check(False, "an archived contact is still there")
    except ApiError as error:
        check(error.status_code == 404, f"an archived contact is {error.status_code}")


def refused(base_url):
    try:
        Intercom(base_url=base_url, token="wrong").admins.list()
        check(False, "a wrong token is good")
    except ApiError as error:
        check(error.status_code == 401, f"a wrong token is {error.status_code}")


def main():
    base_url, access_token = sys.argv[1:3]
    client = Intercom(base_url=base_url, token=access_token, headers={"Intercom-Version": "2.14"})
    contacts = list_contacts(client)
    read_one(client, contacts[0])
    search(client, contacts)
    companies = scroll(client)
    attributes = client.data_attributes.list(model="contact").data
    check(attributes, "no attributes are described")
    write(client)
    refused(base_url)
    print(f"ok: {len(contacts)} contacts, {len(companies)} companies, {len(attributes)} attributes")


if __name__ == "__main__":
    main()
