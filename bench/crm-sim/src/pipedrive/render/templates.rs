//! What each type of record looks like in each version. `<form column>` is a slot.

use super::{Dialect, Occasion};
use crate::pipedrive::kind::Kind;
use crate::pipedrive::schema::FieldType;
use crate::pipedrive::schema::field::subfields;

const PERSON: &str = r#"{"id":<id>,"company_id":<company>,"owner_id":<owner owner_id>,"org_id":<org org_id>,"name":<name>,"first_name":<text first_name>,"last_name":<text last_name>,"open_deals_count":0,"related_open_deals_count":0,"closed_deals_count":0,"related_closed_deals_count":0,"participant_open_deals_count":0,"participant_closed_deals_count":0,"email_messages_count":0,"activities_count":0,"done_activities_count":0,"undone_activities_count":0,"files_count":0,"notes_count":0,"followers_count":<followers>,"won_deals_count":0,"related_won_deals_count":0,"lost_deals_count":0,"related_lost_deals_count":0,"active_flag":<active>,"phone":<first_contacts phone>,"email":<first_contacts email>,"first_char":<first_char>,"update_time":<spaced_update>,"add_time":<spaced_add>,"visible_to":<text visible_to>,"picture_id":null,"next_activity_date":null,"next_activity_time":null,"next_activity_id":null,"last_activity_id":null,"last_activity_date":null,"last_incoming_mail_time":null,"last_outgoing_mail_time":null,"label":<label label_ids>,"org_name":<org_name org_id>,"cc_email":<cc>"#;

const ORGANIZATION: &str = r#"{"id":<id>,"company_id":<company>,"owner_id":<owner owner_id>,"name":<text name>,"open_deals_count":0,"related_open_deals_count":0,"closed_deals_count":0,"related_closed_deals_count":0,"email_messages_count":0,"people_count":0,"activities_count":0,"done_activities_count":0,"undone_activities_count":0,"files_count":0,"notes_count":0,"followers_count":<followers>,"won_deals_count":0,"related_won_deals_count":0,"lost_deals_count":0,"related_lost_deals_count":0,"active_flag":<active>,"category_id":null,"picture_id":null,"country_code":null,"first_char":<first_char>,"update_time":<spaced_update>,"add_time":<spaced_add>,"visible_to":<text visible_to>,"next_activity_date":null,"next_activity_time":null,"next_activity_id":null,"last_activity_id":null,"last_activity_date":null,"label":<label label_ids>,"address":<text address>,"address_subpremise":<text address_subpremise>,"address_street_number":<text address_street_number>,"address_route":<text address_route>,"address_sublocality":<text address_sublocality>,"address_locality":<text address_locality>,"address_admin_area_level_1":<text address_admin_area_level_1>,"address_admin_area_level_2":<text address_admin_area_level_2>,"address_country":<text address_country>,"address_postal_code":<text address_postal_code>,"address_formatted_address":<text address_formatted_address>,"cc_email":<cc>"#;

const DEAL: &str = r#"{"id":<id>,"creator_user_id":<owner owner_id>,"user_id":<owner owner_id>,"person_id":<person person_id>,"org_id":<org org_id>,"stage_id":<number stage_id>,"title":<text title>,"value":<amount value>,"currency":<text currency>,"add_time":<spaced_add>,"update_time":<spaced_update>,"stage_change_time":<spaced stage_change_time>,"active":<active>,"deleted":<deleted>,"is_archived":<flag is_archived>,"status":<status_or_deleted status>,"probability":<number probability>,"next_activity_date":null,"next_activity_time":null,"next_activity_id":null,"last_activity_id":null,"last_activity_date":null,"lost_reason":<when_lost lost_reason>,"visible_to":<text visible_to>,"close_time":<spaced_closed close_time>,"pipeline_id":<pipeline pipeline_id>,"won_time":<spaced_won won_time>,"first_won_time":<spaced_won won_time>,"lost_time":<spaced_lost lost_time>,"products_count":0,"files_count":0,"notes_count":0,"followers_count":<followers>,"email_messages_count":0,"activities_count":0,"done_activities_count":0,"undone_activities_count":0,"participants_count":0,"expected_close_date":<text expected_close_date>,"label":<label label_ids>,"origin":<text origin>,"org_name":<org_name org_id>,"person_name":<person_name person_id>,"cc_email":<cc>,"weighted_value":<amount value>,"weighted_value_currency":<text currency>"#;

const ACTIVITY: &str = r#"{"id":<id>,"company_id":<company>,"user_id":<number owner_id>,"done":<flag done>,"type":<text type>,"subject":<text subject>,"due_date":<text due_date>,"due_time":<short due_time>,"duration":<short duration>,"busy_flag":<flag busy>,"add_time":<spaced_add>,"update_time":<spaced_update>,"marked_as_done_time":"","active_flag":<active>,"public_description":<text public_description>,"note":<text note>,"deal_id":<number deal_id>,"lead_id":null,"person_id":<number person_id>,"org_id":<number org_id>,"org_name":<org_name org_id>,"person_name":<person_name person_id>,"assigned_to_user_id":<number owner_id>,"created_by_user_id":<number owner_id>"#;

const PRODUCT: &str = r#"{"id":<id>,"name":<text name>,"code":<text code>,"description":<text description>,"unit":<text unit>,"tax":<number tax>,"category":null,"active_flag":<active>,"selectable":true,"first_char":<first_char>,"visible_to":<text visible_to>,"owner_id":<owner owner_id>,"files_count":null,"add_time":<spaced_add>,"update_time":<spaced_update>,"prices":[]"#;

const LEAD: &str = r#"{"id":<uuid>,"title":<text title>,"owner_id":<number owner_id>,"creator_id":<number owner_id>,"label_ids":[],"person_id":<number person_id>,"organization_id":<number org_id>,"source_name":<text source_name>,"origin":"API","origin_id":null,"channel":null,"channel_id":null,"is_archived":<flag is_archived>,"was_seen":false,"value":null,"expected_close_date":<text expected_close_date>,"next_activity_id":null,"add_time":<precise_add>,"update_time":<precise_update>,"visible_to":<text visible_to>,"cc_email":<cc>"#;

const PERSON_2: &str = r#"{"id":<id>,"name":<name>,"first_name":<text first_name>,"last_name":<text last_name>,"owner_id":<number owner_id>,"org_id":<number org_id>,"add_time":<zoned_add>,"update_time":<zoned_update>,"emails":<contacts email>,"phones":<contacts phone>,"is_deleted":<deleted>,"visible_to":<number visible_to>,"label_ids":<list label_ids>,"picture_id":null,"postal_address":null,"notes":null,"im":[],"birthday":null,"job_title":<text job_title>"#;

const ORGANIZATION_2: &str = r#"{"id":<id>,"name":<text name>,"owner_id":<number owner_id>,"add_time":<zoned_add>,"update_time":<zoned_update>,"is_deleted":<deleted>,"visible_to":<number visible_to>,"address":<place address>,"label_ids":<list label_ids>,"website":<text website>,"linkedin":null,"industry":null,"annual_revenue":null,"employee_count":null"#;

const DEAL_2: &str = r#"{"id":<id>,"title":<text title>,"owner_id":<number owner_id>,"creator_user_id":<number owner_id>,"person_id":<number person_id>,"org_id":<number org_id>,"pipeline_id":<pipeline pipeline_id>,"stage_id":<number stage_id>,"value":<amount value>,"currency":<text currency>,"add_time":<zoned_add>,"update_time":<zoned_update>,"stage_change_time":<text stage_change_time>,"is_deleted":<deleted>,"is_archived":<flag is_archived>,"status":<text status>,"probability":<number probability>,"lost_reason":<when_lost lost_reason>,"visible_to":<number visible_to>,"close_time":<zoned_closed close_time>,"won_time":<zoned_won won_time>,"lost_time":<zoned_lost lost_time>,"expected_close_date":<text expected_close_date>,"label_ids":<list label_ids>,"origin":<text origin>,"origin_id":null,"channel":null,"channel_id":null,"source_lead_id":null,"arr":null,"mrr":null,"acv":null"#;

const ACTIVITY_2: &str = r#"{"id":<id>,"subject":<text subject>,"type":<text type>,"owner_id":<number owner_id>,"creator_user_id":<number owner_id>,"is_deleted":<deleted>,"add_time":<zoned_add>,"update_time":<zoned_update>,"deal_id":<number deal_id>,"lead_id":null,"person_id":<number person_id>,"org_id":<number org_id>,"project_id":null,"due_date":<text due_date>,"due_time":<text due_time>,"duration":<text duration>,"busy":<flag busy>,"done":<flag done>,"marked_as_done_time":null,"location":null,"participants":[],"attendees":null,"conference_meeting_client":null,"conference_meeting_url":null,"conference_meeting_id":null,"public_description":<text public_description>,"priority":null,"note":<text note>"#;

const PRODUCT_2: &str = r#"{"id":<id>,"name":<text name>,"code":<text code>,"description":<text description>,"unit":<text unit>,"tax":<number tax>,"category":null,"is_deleted":<deleted>,"is_linkable":true,"visible_to":<number visible_to>,"owner_id":<number owner_id>,"add_time":<zoned_add>,"update_time":<zoned_update>,"billing_frequency":"one-time","billing_frequency_cycles":null,"prices":[]"#;

/// The template of a type, without its custom fields and its closing brace.
pub(super) fn of(kind: Kind, dialect: Dialect, occasion: Occasion) -> String {
    let (first, second) = match kind {
        Kind::Persons => (PERSON, PERSON_2),
        Kind::Organizations => (ORGANIZATION, ORGANIZATION_2),
        Kind::Deals => (DEAL, DEAL_2),
        Kind::Activities => (ACTIVITY, ACTIVITY_2),
        Kind::Products => (PRODUCT, PRODUCT_2),
        Kind::Leads => (LEAD, LEAD),
    };
    if dialect == Dialect::Second {
        return second.to_owned();
    }
    // A new record has no followers yet; its owner becomes one at once.
    let followers = match occasion {
        Occasion::Created => "0",
        _ => "1",
    };
    let mut template = first.replace("<followers>", followers);
    let owner = r#","owner_name":<owner_name owner_id>"#;
    let more = match (kind, occasion) {
        (Kind::Persons, Occasion::Updated) => r#","picture_128_url":null"#.to_owned(),
        (Kind::Organizations, Occasion::Updated) => String::new(),
        (Kind::Organizations, Occasion::Created) => format!(r#"{owner},"edit_name":true"#),
        (Kind::Organizations, _) => {
            format!(r#"{owner},"edit_name":true,"last_activity":null,"next_activity":null"#)
        }
        (Kind::Persons | Kind::Deals | Kind::Activities, _) => owner.to_owned(),
        (Kind::Products | Kind::Leads, _) => String::new(),
    };
    template.push_str(&more);
    template
}

/// A custom field among the members of a record, with its parts beside it.
pub(super) fn flattened(key: &str, field_type: FieldType) -> String {
    let form = match field_type {
        FieldType::User => "owner",
        FieldType::Org => "org",
        FieldType::People => "person",
        FieldType::Double | FieldType::Monetary => "amount",
        FieldType::Enum | FieldType::Set => "quoted",
        _ => "text",
    };
    let parts = subfields(field_type).iter().map(|part| {
        let form = match part.field_type {
            FieldType::Int => "number",
            _ => "text",
        };
        // A currency without an amount is none.
        let form = match part.suffix {
            "currency" => "text_beside",
            _ => form,
        };
        format!(r#","{key}_{0}":<{form} {key}_{0}>"#, part.suffix)
    });
    let parts: String = parts.collect();
    format!(r#","{key}":<{form} {key}>{parts}"#)
}

/// A custom field as a member of `custom_fields`, its parts inside it.
pub(super) fn apart(key: &str, field_type: FieldType) -> String {
    let form = match field_type {
        FieldType::User | FieldType::Org | FieldType::People => "reference",
        FieldType::Double => "amount",
        FieldType::Monetary => "money",
        FieldType::Daterange | FieldType::Timerange | FieldType::Time => "span",
        FieldType::Address => "place",
        FieldType::Enum => "number",
        FieldType::Set => "list_or_null",
        _ => "text",
    };
    format!(r#""{key}":<{form} {key}>"#)
}
