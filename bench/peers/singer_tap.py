"""Singer's way: a tap of a REST stream, as the SDK's template makes it. The configuration comes as Singer's do."""

from singer_sdk import RESTStream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator

PROPERTIES = """
    address city company country createdate customer_tier email firstname hs_email_optout hs_lead_status hs_object_id
    hubspot_owner_id interests jobtitle lastmodifieddate lastname lifecyclestage loyalty_points message phone
    renewal_date zip
""".split()


class Contacts(RESTStream):
    name = "contacts"
    path = "/crm/v3/objects/contacts"
    primary_keys = ("id",)
    records_jsonpath = "$.results[*]"
    next_page_token_jsonpath = "$.paging.next.after"
    schema = th.PropertiesList(
        th.Property("id", th.StringType, required=True),
        th.Property("properties", th.ObjectType(*(th.Property(name, th.StringType) for name in PROPERTIES))),
        th.Property("createdAt", th.DateTimeType),
        th.Property("updatedAt", th.DateTimeType),
        th.Property("archived", th.BooleanType),
    ).to_dict()

    @property
    def url_base(self):
        return self.config["base_url"]

    @property
    def authenticator(self):
        return BearerTokenAuthenticator(token=self.config["token"])

    @property
    def partitions(self):
        return [{"date": date} for date in self.config["dates"]] or None

    def get_url_params(self, context, next_page_token):
        params = {"limit": self.config["page_size"], "after": next_page_token, "date": (context or {}).get("date")}
        return {name: value for name, value in params.items() if value is not None}


class Contact(Tap):
    name = "tap-contacts"
    config_jsonschema = th.PropertiesList(
        th.Property("base_url", th.StringType, required=True),
        th.Property("token", th.StringType, required=True, secret=True),
        th.Property("page_size", th.IntegerType, default=100),
        th.Property("dates", th.ArrayType(th.StringType), default=[]),
    ).to_dict()

    def discover_streams(self):
        return [Contacts(self)]


if __name__ == "__main__":
    Contact.cli()
