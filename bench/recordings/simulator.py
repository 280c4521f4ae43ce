"""A simulator as a process, and plain HTTP to it."""

import http.client
import json
import subprocess
import urllib.parse

from recordings.exchange import Answer

REQUEST_SECONDS_MAX = 30


class Simulator:
    """Runs `crm-sim` with the arguments of one API until closed."""

    def __init__(self, binary, arguments):
        self.process = subprocess.Popen(
            [binary, *arguments], stdout=subprocess.PIPE, text=True)
        self.said = json.loads(self.process.stdout.readline())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def send(self, method, path, query=None, headers=None, body=None):
        """One request to the API, its body as JSON unless it is text already."""
        target = path + ("?" + urllib.parse.urlencode(query) if query else "")
        return request(self.said["base_url"], method, target, headers or {}, body)

    def control(self, path, body, method="POST"):
        """One request to the control API."""
        answer = request(self.said["control_url"], method, path, {}, body)
        if answer.status != 200:
            raise RuntimeError(f"control {path}: {answer.status} {answer.body}")
        return answer.body

    def set_clock(self, now_ms):
        self.control("/settings", {"clock_fixed_ms": now_ms})


def request(base, method, target, headers, body):
    connection = http.client.HTTPConnection(
        urllib.parse.urlsplit(base).netloc, timeout=REQUEST_SECONDS_MAX)
    payload = None
    if body is not None:
        headers = {"content-type": "application/json", **headers}
        payload = (body if isinstance(body, str) else json.dumps(body)).encode()
    try:
        connection.request(method, target, payload, headers)
        response = connection.getresponse()
        text = response.read().decode()
        found = {name.lower(): value for name, value in response.getheaders()}
    finally:
        connection.close()
    return Answer(response.status, found, parsed(text))


def parsed(text):
    """JSON where it is some, the text itself otherwise."""
    try:
        return json.loads(text)
    except ValueError:
        return text
