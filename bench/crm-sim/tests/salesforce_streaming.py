"""Drives the simulator's streaming API with aiosfstream, unmodified.

usage: salesforce_streaming.py BASE_URL CONTROL_URL CLIENT_ID CLIENT_SECRET REFRESH_TOKEN

Needs `aiosfstream-ng` (pip). It authenticates with the refresh token, subscribes to the
changes of accounts, and makes changes over the control API. Exits non-zero at the first
mismatch. The address must be `localhost`: its cookies are dropped for a bare IP address.
"""

import asyncio
import json
import sys
import urllib.request

import aiosfstream_ng.auth
from aiosfstream_ng import Client, RefreshTokenAuthenticator, ReplayOption

CHANNEL = "/data/AccountChangeEvent"
# Long enough for a busy machine; nothing waits for it unless an event is lost.
SECONDS_MAX = 60


def check(condition, what):
    if not condition:
        print(f"mismatch: {what}", file=sys.stderr)
        sys.exit(1)


def control(url, path, body):
    request = urllib.request.Request(
        url + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


async def receive(client):
    return await asyncio.wait_for(client.receive_message(), SECONDS_MAX)


class Here(RefreshTokenAuthenticator):
    """The answer to the refresh names the org by its IP address; this is the same host."""

    async def authenticate(self):
        await super().authenticate()
        self.instance_url = sys.argv[1]


async def follow(arguments, replay):
    """A client that is subscribed from a place on."""
    _, _, client_id, client_secret, refresh_token = arguments
    authenticator = Here(client_id, client_secret, refresh_token)
    client = Client(authenticator, replay=replay)
    await client.open()
    await client.subscribe(CHANNEL)
    return client


def header(event):
    return event["data"]["payload"]["ChangeEventHeader"]


async def main():
    arguments = sys.argv[1:6]
    base_url, control_url = arguments[:2]
    aiosfstream_ng.auth.TOKEN_URL = f"{base_url}/services/oauth2/token"
    client = await follow(arguments, ReplayOption.NEW_EVENTS)
    control(control_url, "/edit", {"kind": "Account", "count": 3})
    events = [await receive(client) for _ in range(3)]
    for event in events:
        check(event["channel"] == CHANNEL, f"the channel is {event['channel']}")
        check(header(event)["changeType"] == "UPDATE", f"the change is {header(event)}")
        check(header(event)["entityName"] == "Account", f"the entity is {header(event)}")
        changed = header(event)["changedFields"]
        check(changed, "an update changed nothing")
    ids = [event["data"]["event"]["replayId"] for event in events]
    check(ids == sorted(set(ids)), f"replay ids are {ids}")
    await client.close()
    control(control_url, "/create", {"kind": "Account", "count": 1})
    control(control_url, "/delete", {"kind": "Account", "count": 1})
    client = await follow(arguments, ReplayOption.ALL_EVENTS)
    types = [header(await receive(client))["changeType"] for _ in range(5)]
    check(types == ["UPDATE"] * 3 + ["CREATE", "DELETE"], f"all events are {types}")
    # The server starts anew: the client shakes hands again and goes on by itself.
    control(control_url, "/streaming", "restart")
    control(control_url, "/edit", {"kind": "Account", "count": 1})
    again = [header(await receive(client))["changeType"] for _ in range(6)]
    check(again[-1] == "UPDATE", f"after a restart came {again}")
    await client.close()
    print("ok: 5 events, and all of them again after a restart")


if __name__ == "__main__":
    asyncio.run(main())
