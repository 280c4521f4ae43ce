"""How the answers of an API are read: what every API has in common."""

import re

from recordings.exchange import SHORTENED, Ids, differences

TIME = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:?\d\d)?")


class Reading:
    """What one API's answers mean; each API overrides what it knows better."""

    # The name of the file of recordings and of the simulator's subcommand.
    name = ""
    # Requests to other hosts are none of the simulator's business.
    host = ""
    # Members of lists pair up by the first of these that they all have.
    list_keys = ("id", "name")
    # Paths whose scalar values are account-specific or random: their type counts.
    free = re.compile(r"(?!)")

    def __init__(self):
        self.ids = Ids()

    def arguments(self):
        """The command line of the simulator."""
        return [self.name]

    def run_of(self, exchange):
        """Exchanges with another value need a simulator of their own."""
        return exchange.file

    def begin(self, simulator, exchanges):
        """Called once for each run, with all its exchanges."""

    def presuppose(self, simulator, exchange):
        """Creates what the exchange takes for granted, before it is replayed."""

    def send(self, simulator, exchange):
        """Replays one exchange."""
        raise NotImplementedError

    def searched(self, simulator, exchange, writes_ms, lag_ms_max):
        """Replays a search with the lag of the index that explains the recorded answer
        best, none first: a lag as old as one of the writes before it."""
        best = None
        recent = {moment for moment in writes_ms if exchange.at_ms - moment <= lag_ms_max}
        for lag_ms in [0, *sorted(exchange.at_ms - moment + 1 for moment in recent)]:
            simulator.control("/settings", {"search_lag_ms": lag_ms})
            answer = self.once(simulator, exchange)
            found = len(set(differences(exchange, answer, self)))
            if best is None or found < best[0]:
                best = (found, answer)
            if found == 0:
                break
        simulator.control("/settings", {"search_lag_ms": 0})
        return best[1]

    def once(self, simulator, exchange):
        """Sends the request as it stands, with the simulator's ids."""
        raise NotImplementedError

    def learn(self, exchange, answer):
        """Learns ids from an answer."""

    def judged(self, exchange, found):
        """The differences, with what the API's reading knows about them."""
        return found

    def route(self, exchange):
        """The exchange without its ids, for grouping."""
        return f"{exchange.method} {exchange.path} {exchange.status}"

    def counts(self, path):
        """Whether a scalar's value counts, not only its type."""
        return not self.free.search(path)

    def same(self, recorded, actual, path):
        """Whether two scalars of one type are equal, ids and times normalised."""
        if isinstance(recorded, str) and TIME.fullmatch(recorded):
            return isinstance(actual, str) and bool(TIME.fullmatch(actual))
        if isinstance(recorded, str) and "/" in recorded:
            return self.mapped_path(recorded) == actual
        return recorded == actual or str(self.ids.known.get(str(recorded))) == str(actual)

    def key(self, member):
        """What a member of a list is known by."""
        if isinstance(member, dict):
            for name in self.list_keys:
                if isinstance(member.get(name), (str, int)):
                    return name, self.ids.known.get(str(member[name]), str(member[name]))
        return None

    def pair(self, recorded, actual, path, shortened):
        """Pairs of members, and how many of either side have no partner."""
        keys = [self.key(member) for member in recorded]
        by_key = {self.plain_key(member): member for member in actual}
        if None in keys or len(by_key) != len(actual):
            pairs = list(zip(recorded, actual))
            return pairs, max(0, len(recorded) - len(actual)), max(0, len(actual) - len(recorded))
        pairs = [(member, by_key[key]) for member, key in zip(recorded, keys) if key in by_key]
        return pairs, len(recorded) - len(pairs), len(actual) - len(pairs)

    def plain_key(self, member):
        """The key of a simulator's own member."""
        if isinstance(member, dict):
            for name in self.list_keys:
                if isinstance(member.get(name), (str, int)):
                    return name, str(member[name])
        return id(member)

    def mapped(self, value):
        """A request's body with the simulator's ids in place of the recorded ones."""
        if isinstance(value, dict):
            return {self.mapped_key(name): self.mapped(member) for name, member in value.items()}
        if isinstance(value, list):
            return [self.mapped(member) for member in value
                    if not (isinstance(member, str) and member.startswith(SHORTENED))]
        if isinstance(value, (str, int)) and not isinstance(value, bool):
            return self.ids.here(value)
        return value

    def mapped_key(self, name):
        """A member's name with the simulator's words in place of the recorded ones."""
        return name

    def mapped_path(self, path):
        return "/".join(str(self.ids.here(part)) for part in path.split("/"))
