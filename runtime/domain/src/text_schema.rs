//! The published schema of the types that are texts with a form: without it an
//! editor could not tell a wrong id from a right one.

/// Gives a type that is serialised as text the schema of its form.
macro_rules! text_schema {
    ($name:ident, $description:expr, $pattern:expr, $max:expr) => {
        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .description(Some($description))
                    .pattern(Some($pattern))
                    .max_length(Some($max))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(stringify!($name))
            }
        }
    };
}

pub(crate) use text_schema;
