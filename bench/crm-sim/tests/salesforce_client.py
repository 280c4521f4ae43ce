"""Drives the simulator with simple-salesforce, unmodified.

usage: salesforce_client.py BASE_URL ACCESS_TOKEN

Needs `simple-salesforce` (pip) and a simulator without limits. The client speaks https
and nothing else, so that its session carries those requests over plain HTTP. Exits
non-zero at the first mismatch.
"""

import csv
import datetime
import sys
import tempfile

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import Salesforce
from simple_salesforce.exceptions import SalesforceExpiredSession, SalesforceResourceNotFound

VERSION = "62.0"


class Plain(HTTPAdapter):
    """Sends https requests to the loopback without encryption."""

    def send(self, request, **settings):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **settings)


def check(condition, what):
    if not condition:
        print(f"mismatch: {what}", file=sys.stderr)
        sys.exit(1)


def connect(base_url, access_token):
    session = requests.Session()
    session.mount("https://", Plain())
    return Salesforce(
        instance_url=base_url.replace("http://", "https://"), session_id=access_token,
        version=VERSION, session=session)


def moment(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")


def query(client):
    """Every account, by the client's own paging."""
    answer = client.query_all("SELECT Id, Name, SystemModstamp FROM Account ORDER BY Id")
    records = answer["records"]
    check(answer["totalSize"] == len(records), f"{answer['totalSize']} announced, {len(records)} came")
    ids = [record["Id"] for record in records]
    check(len(set(ids)) == len(ids), "an account came twice")
    lazy = [record["Id"] for record in client.query_all_iter("SELECT Id FROM Account ORDER BY Id")]
    check(lazy == ids, "the lazy query differs")
    return records


def describe(client):
    fields = client.Account.describe()["fields"]
    names = {field["name"] for field in fields}
    check({"Id", "Name", "SystemModstamp", "IsDeleted"} <= names, "standard fields are missing")
    objects = {entry["name"] for entry in client.describe()["sobjects"]}
    check("Account" in objects, "there are no accounts")
    check("DailyApiRequests" in client.limits(), "there are no limits")
    check(client.api_usage, "no answer named the API usage")


def write(client):
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(minutes=5)
    created = client.Account.create({"Name": "Fidelity"})
    check(created["success"] is True, f"{created}")
    identity = created["id"]
    check(client.Account.update(identity, {"Name": "Fidelity \"2\""}) == 204, "an update is not empty")
    read = client.Account.get(identity)
    check(read["Name"] == "Fidelity \"2\"", f"the name is {read['Name']}")
    after = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=5)
    updated = client.Account.updated(before, after)
    check(identity in updated["ids"], "the update is not among the updated")
    check(client.Account.delete(identity) == 204, "a deletion is not empty")
    deleted = client.Account.deleted(before, after)
    check(identity in [entry["id"] for entry in deleted["deletedRecords"]], "the deletion is not told")
    try:
        client.Account.get(identity)
        check(False, "a deleted account was read")
    except SalesforceResourceNotFound:
        pass


def bulk_query(client, expected):
    """The same accounts from a bulk job, in pages."""
    pages = list(client.bulk2.Account.query("SELECT Id, Name FROM Account", max_records=300))
    check(len(pages) > 1, f"{len(pages)} page")
    rows = [row for page in pages for row in csv.DictReader(page.splitlines())]
    check(sorted(row["Id"] for row in rows) == expected, "the bulk query has other accounts")


def bulk_ingest(client):
    """A file of two good rows and a bad one."""
    with tempfile.NamedTemporaryFile("w", suffix=".csv", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([["LastName", "Email"], ["Alpha", "a@example.com"], ["", ""], ["Beta", ""]])
        file.flush()
        results = client.bulk2.Contact.insert(file.name)
    check(sum(int(result["numberRecordsTotal"]) for result in results) == 3, f"{results}")
    check(sum(int(result["numberRecordsFailed"]) for result in results) == 1, f"{results}")
    job = results[0]["job_id"]
    good = list(csv.DictReader(client.bulk2.Contact.get_successful_records(job).splitlines()))
    check(sorted(row["LastName"] for row in good) == ["Alpha", "Beta"], f"{good}")
    bad = list(csv.DictReader(client.bulk2.Contact.get_failed_records(job).splitlines()))
    check("REQUIRED_FIELD_MISSING" in bad[0]["sf__Error"], f"{bad}")
    client.bulk2.Contact.get_unprocessed_records(job)


def refused(base_url):
    try:
        connect(base_url, "00Dwrong!token").query("SELECT Id FROM Account")
        check(False, "a wrong token is good")
    except SalesforceExpiredSession:
        pass


def main():
    base_url, access_token = sys.argv[1:3]
    client = connect(base_url, access_token)
    records = query(client)
    describe(client)
    expected = sorted(record["Id"] for record in records)
    bulk_query(client, expected)
    bulk_ingest(client)
    write(client)
    refused(base_url)
    print(f"ok: {len(records)} accounts")


if __name__ == "__main__":
    main()
