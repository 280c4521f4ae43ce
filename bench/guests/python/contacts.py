"""The connector of the bench in Python, written as connectors usually are: every page is
copied in, parsed, and written out again, one record a line."""

import datetime
import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.manifest import (
    AuthKind_StaticKeys,
    AuthMethod,
    Endpoint,
    EndpointRole,
    KeyPart,
    KeyPlace_Header,
    Limit,
    LimitRule_Paced,
    LimitScope,
    ResponseClass,
    ResponseRule,
    Spec,
)
from wit_world.exports.source import Outcome_Done, Outcome_More, Partition, StreamInfo, Window
from wit_world.imports import checkpoint, emit, http, types

API = "https://api.hubapi.com"
LIST = "/crm/v3/objects/contacts"
CONFIG = {
    "type": "object",
    "properties": {
        "page_size": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
        "windows": {"type": "integer", "minimum": 0, "maximum": 31, "default": 0},
    },
    "additionalProperties": False,
}
FIRST_DAY = datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.utc)
DAY = datetime.timedelta(days=1)
TEXT = {"type": ["string", "null"]}
# componentize-py 0.25 does not free bytes that it has passed to the host: the instance is
# given back before they fill its memory, and a fresh one goes on.
EMITTED_BYTES_MAX = 32 << 20
# Values are texts on the wire, whatever they hold.
KINDS = {
    "datetime": TEXT | {"format": "date-time"},
    "date": TEXT | {"format": "date"},
    "bool": {"type": ["boolean", "null"]},
}


class Manifest(exports.Manifest):
    def describe(self):
        schema_paths = ["/crm/v3/properties/", "/account-info/"]
        key = KeyPart("token", KeyPlace_Header("authorization"), "Bearer ")
        return Spec(
            id="pages-python",
            title="Pages of contacts, copied in Python",
            version="0.1.0",
            config_schema=json.dumps(CONFIG),
            endpoints=[
                Endpoint("api", API, EndpointRole.DATA, [LIST], False),
                Endpoint("schema", API, EndpointRole.METADATA, schema_paths, False),
            ],
            allowed_hosts=[],
            auth=[AuthMethod("private_app", AuthKind_StaticKeys([key]))],
            # So many that the source's own limit is what holds.
            limits=[
                Limit(
                    buckets=["default"],
                    scope=LimitScope.CONNECTION,
                    rule=LimitRule_Paced(1_000),
                    capacity=100_000,
                    per_ms=1_000,
                    remaining_header=None,
                    reset_header=None,
                )
            ],
            secrets=[],
            response_headers=[],
            responses=[
                ResponseRule((429, 429), None, ResponseClass.THROTTLED_SHORT),
                ResponseRule((401, 401), None, ResponseClass.AUTH),
                ResponseRule((500, 599), None, ResponseClass.TRANSIENT),
            ],
            paging_pointers=[],
            extra="{}",
        )


class Source(exports.Source):
    def check(self, config):
        fetch("schema", "/account-info/v3/details", {})

    def discover(self, config):
        listed = json.loads(fetch("schema", "/crm/v3/properties/contacts", {}))
        fields = {each["name"]: KINDS.get(each["type"], TEXT) for each in listed["results"]}
        schema = {
            "type": "object",
            "properties": {
                "id": TEXT,
                "properties": {"type": "object", "properties": fields},
                "createdAt": KINDS["datetime"],
                "updatedAt": KINDS["datetime"],
                "archived": KINDS["bool"],
            },
            "required": ["id"],
        }
        contacts = StreamInfo(
            name="contacts",
            schema=json.dumps(schema),
            primary_key=["/id"],
            cursor_field=None,
            sync_modes=[types.SyncMode.FULL_REFRESH],
            has_deletes=False,
            splittable=True,
            extra="{}",
        )
        return [contacts]

    def plan(self, req):
        windows = json.loads(req.config).get("windows", 0)
        if windows == 0:
            return [Partition("list", "{}", None, None)]
        return [day(index) for index in range(windows)]

    def read(self, req):
        query = {"limit": json.loads(req.config).get("page_size", 100)}
        query |= json.loads(req.partition.descriptor)
        after = json.loads(req.state) if req.state else None
        emitted = 0
        while True:
            if after:
                query["after"] = after
            page = json.loads(fetch("api", LIST, query))
            lines = b"".join(map(line, page["results"]))
            emit.ndjson(req.stream_name, emit.Change.UPSERT, lines)
            emitted += len(lines)
            after = page.get("paging", {}).get("next", {}).get("after")
            if not after:
                return Outcome_Done("null")
            directive = checkpoint.save(json.dumps(after))
            if directive != checkpoint.Directive.PROCEED or emitted > EMITTED_BYTES_MAX:
                return Outcome_More()


def line(record):
    return json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def day(index):
    since = FIRST_DAY + index * DAY
    date = since.date().isoformat()
    window = Window(epoch_ms(since), epoch_ms(since + DAY))
    return Partition(date, json.dumps({"date": date}), window, None)


def epoch_ms(moment):
    return int(moment.timestamp()) * 1000


def fetch(endpoint, path, query):
    """The body of a good answer; any other is a failure, which the host decides about."""
    query = [(name, str(value)) for name, value in query.items()]
    request = http.Request(
        method=http.Method.GET,
        target=http.Target_Endpoint(http.EndpointPath(endpoint, path, query)),
        headers=[],
        payload=http.Payload_None_(),
        auth="private_app",
        bucket=None,
        cost=1,
        idempotency_key=None,
        timeout_ms=None,
        max_body_bytes=None,
    )
    try:
        response = http.fetch(request)
        with response.body as body:
            if response.status == 200:
                return body.bytes()
    except Err as refused:
        raise Err(failure(refused.value)) from refused
    raise Err(types.Failure_Transient(f"the remote system answered {response.status}"))


def failure(fault):
    match fault:
        case http.Fault_Throttled(until_ms):
            return types.Failure_Throttled(until_ms)
        case http.Fault_Auth(reason):
            return types.Failure_Auth(reason)
        case http.Fault_Denied(reason):
            return types.Failure_Config(reason)
        case _:
            return types.Failure_Transient(str(fault))
