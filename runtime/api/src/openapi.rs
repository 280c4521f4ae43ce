//! The OpenAPI document: made from the handlers, completed with what all of them
//! share.

use crate::caller::Access;
use crate::config::Config;
use crate::problem;
use crate::routes;
use bytes::Bytes;
use tidegate_domain::id::SubscriptionId;
use tidegate_domain::spec::SecretName;
use utoipa::openapi::content::Content;
use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn, Paths};
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Components, OpenApi, Ref, RefOr, Required, Response};
use utoipa_axum::router::OpenApiRouter;

/// Under what name the permission of an operation stands in the document.
pub const PERMISSION: &str = "x-permission";
const SCHEME: &str = "key";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Tidegate",
        version = "1",
        description = "Reads CRMs, lands what they hold as files on S3, and says exactly what it did.\n\nEvery answer that is not a success is an `application/problem+json` with a stable `code` and a `fix`. Times are milliseconds since the Unix epoch, in fields that end in `_at_ms`. Lists are paged by `after` and `limit`. A POST with an `Idempotency-Key` counts once in 24 hours. Documents carry an ETag; send it as `If-Match` to change only what you have read.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    servers((url = "/")),
    // Ids that stand in paths only are named by no body.
    components(schemas(problem::Body, problem::Code, problem::Wrong, SecretName, SubscriptionId)),
)]
struct Document;

/// What the document holds before any route is added.
pub(crate) fn base() -> OpenApi {
    let mut document = <Document as utoipa::OpenApi>::openapi();
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An API key, `tg_...`. It belongs to one tenant, and every request is about that tenant."))
        .build();
    let components = document.components.get_or_insert_with(Components::new);
    components.add_security_scheme(SCHEME, SecurityScheme::Http(key));
    document
}

/// The whole document as it is served.
pub fn text(config: &Config) -> Bytes {
    let mut all = OpenApiRouter::with_openapi(base());
    for route in routes::table(config) {
        let (access, handlers) = route.described();
        let (schemas, mut paths, methods) = handlers;
        complete(&mut paths, access);
        all = all.routes((schemas, paths, methods));
    }
    let text = serde_json::to_vec_pretty(&all.into_openapi());
    Bytes::from(text.expect("a document of strings and numbers is JSON"))
}

/// Adds what every operation shares: who may call it, and how it fails.
fn complete(paths: &mut Paths, access: Access) {
    for item in paths.paths.values_mut() {
        let posts = item.post.as_mut();
        if let Some(operation) = posts.filter(|_| access != Access::Public) {
            operation
                .parameters
                .get_or_insert_with(Vec::new)
                .push(RefOr::T(idempotency_key()));
        }
        let operations = [
            &mut item.get,
            &mut item.put,
            &mut item.post,
            &mut item.delete,
            &mut item.patch,
        ];
        for operation in operations.into_iter().flatten() {
            restrict(operation, access);
            let failed = RefOr::T(failed());
            operation
                .responses
                .responses
                .entry("default".to_owned())
                .or_insert(failed);
        }
    }
}

fn restrict(operation: &mut Operation, access: Access) {
    let word = match access {
        Access::Public => {
            operation.security = Some(Vec::new());
            serde_json::Value::from("public")
        }
        Access::Needs(permission) => {
            let none: [&str; 0] = [];
            operation.security = Some(vec![SecurityRequirement::new(SCHEME, none)]);
            serde_json::to_value(permission).expect("a permission is a word")
        }
    };
    let extensions = operation.extensions.get_or_insert_with(Extensions::default);
    extensions.insert(PERMISSION.to_owned(), word);
}

fn failed() -> Response {
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    let mut response = Response::new("It failed; `code` says how.");
    response
        .content
        .insert("application/problem+json".to_owned(), RefOr::T(content));
    response
}

fn idempotency_key() -> Parameter {
    let text = Object::builder()
        .schema_type(utoipa::openapi::schema::Type::String)
        .min_length(Some(1))
        .max_length(Some(128))
        .pattern(Some("^[!-~]+$"));
    Parameter::builder()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("Drawn at random for each request; a repeated request with it is answered alike and counts once."))
        .schema(Some(Schema::Object(text.build())))
        .build()
}
