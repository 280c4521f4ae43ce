//! The streams: where each is listed, what a page costs, what its records hold.

use tidegate_sdk::{
    prelude::*,
    schema::Kind::{self, Any, Boolean, Date, Decimal, Integer, Moment, Text},
};

/// Units of the daily budget for a page of a list; the second version of the API costs
/// half of the first.
const PAGE_COST: u32 = 10;
const PAGE_COST_V1: u32 = 20;

/// One kind of record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Entity {
    /// Name of the stream.
    pub(crate) name: &'static str,
    /// The lists to read, one after the other.
    pub(crate) feeds: &'static [Feed],
    /// Where its fields are described, if anywhere.
    pub(crate) fields_path: Option<&'static str>,
    /// What records hold beside custom fields.
    pub(crate) columns: &'static [(&'static str, Kind)],
    pub(crate) has_custom_fields: bool,
    /// The field that says when a record was last updated.
    pub(crate) modified: Option<&'static str>,
    /// The list can be asked for what was updated since.
    pub(crate) is_incremental: bool,
}

/// One list of an entity.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Feed {
    pub(crate) path: &'static str,
    /// Its path on the shared host, where that differs.
    pub(crate) shared_path: &'static str,
    pub(crate) status: Option<&'static str>,
    pub(crate) cost: u32,
    /// What its records are.
    pub(crate) kind: Change,
}

const fn list(path: &'static str) -> Feed {
    Feed {
        path,
        shared_path: path,
        status: None,
        cost: PAGE_COST,
        kind: Change::Upsert,
    }
}

impl Feed {
    /// Only what is gone; nothing that a first run would need.
    pub(crate) fn is_of_deletes(&self) -> bool {
        self.kind == Change::Delete
    }
}

pub(crate) static ALL: [Entity; 7] = [
    Entity {
        name: "persons",
        feeds: &[list("/api/v2/persons")],
        fields_path: Some("/api/v2/personFields"),
        columns: PERSON,
        has_custom_fields: true,
        modified: Some("/update_time"),
        is_incremental: true,
    },
    Entity {
        name: "organizations",
        feeds: &[list("/api/v2/organizations")],
        fields_path: Some("/api/v2/organizationFields"),
        columns: ORGANIZATION,
        has_custom_fields: true,
        modified: Some("/update_time"),
        is_incremental: true,
    },
    Entity {
        name: "deals",
        // In this order: a deal that is archived, or deleted, between two pages is in
        // the later list, and newer there.
        feeds: &[
            list("/api/v2/deals"),
            Feed {
                cost: 2 * PAGE_COST,
                ..list("/api/v2/deals/archived")
            },
            Feed {
                status: Some("deleted"),
                kind: Change::Delete,
                ..list("/api/v2/deals")
            },
        ],
        fields_path: Some("/api/v2/dealFields"),
        columns: DEAL,
        has_custom_fields: true,
        modified: Some("/update_time"),
        is_incremental: true,
    },
    Entity {
        name: "activities",
        feeds: &[list("/api/v2/activities")],
        fields_path: Some("/api/v2/activityFields"),
        columns: ACTIVITY,
        has_custom_fields: false,
        modified: Some("/update_time"),
        is_incremental: true,
    },
    Entity {
        name: "users",
        feeds: &[Feed {
            shared_path: "/v1/users",
            cost: PAGE_COST_V1,
            ..list("/api/v1/users")
        }],
        fields_path: None,
        columns: USER,
        has_custom_fields: false,
        modified: Some("/modified"),
        is_incremental: false,
    },
    Entity {
        name: "pipelines",
        feeds: &[list("/api/v2/pipelines")],
        fields_path: None,
        columns: PIPELINE,
        has_custom_fields: false,
        modified: Some("/update_time"),
        is_incremental: false,
    },
    Entity {
        name: "stages",
        feeds: &[list("/api/v2/stages")],
        fields_path: None,
        columns: STAGE,
        has_custom_fields: false,
        modified: Some("/update_time"),
        is_incremental: false,
    },
];

impl Entity {
    pub(crate) fn of_stream(stream: &str) -> Result<&'static Self, Failure> {
        let named = ALL.iter().find(|entity| entity.name == stream);
        named.ok_or_else(|| Failure::Config(format!("there is no stream {stream:?}")))
    }

    pub(crate) fn has_deletes(&self) -> bool {
        self.feeds.iter().any(Feed::is_of_deletes)
    }
}

type Columns = &'static [(&'static str, Kind)];

const PERSON: Columns = &[
    ("id", Integer),
    ("name", Text),
    ("first_name", Text),
    ("last_name", Text),
    ("owner_id", Integer),
    ("org_id", Integer),
    ("emails", Any),
    ("phones", Any),
    ("label_ids", Any),
    ("visible_to", Integer),
    ("add_time", Moment),
    ("update_time", Moment),
    ("is_deleted", Boolean),
];

const ORGANIZATION: Columns = &[
    ("id", Integer),
    ("name", Text),
    ("owner_id", Integer),
    ("address", Any),
    ("label_ids", Any),
    ("visible_to", Integer),
    ("add_time", Moment),
    ("update_time", Moment),
    ("is_deleted", Boolean),
];

const DEAL: Columns = &[
    ("id", Integer),
    ("title", Text),
    ("owner_id", Integer),
    ("creator_user_id", Integer),
    ("person_id", Integer),
    ("org_id", Integer),
    ("pipeline_id", Integer),
    ("stage_id", Integer),
    ("value", Decimal),
    ("currency", Text),
    ("status", Text),
    ("probability", Decimal),
    ("lost_reason", Text),
    ("expected_close_date", Date),
    ("stage_change_time", Moment),
    ("close_time", Moment),
    ("won_time", Moment),
    ("lost_time", Moment),
    ("label_ids", Any),
    ("visible_to", Integer),
    ("add_time", Moment),
    ("update_time", Moment),
    ("is_archived", Boolean),
    ("archive_time", Moment),
    ("is_deleted", Boolean),
];

const ACTIVITY: Columns = &[
    ("id", Integer),
    ("subject", Text),
    ("type", Text),
    ("owner_id", Integer),
    ("creator_user_id", Integer),
    ("deal_id", Integer),
    ("lead_id", Text),
    ("person_id", Integer),
    ("org_id", Integer),
    ("due_date", Date),
    ("due_time", Text),
    ("duration", Text),
    ("busy", Boolean),
    ("done", Boolean),
    ("marked_as_done_time", Moment),
    ("note", Text),
    ("location", Any),
    ("participants", Any),
    ("attendees", Any),
    ("add_time", Moment),
    ("update_time", Moment),
    ("is_deleted", Boolean),
];

const USER: Columns = &[
    ("id", Integer),
    ("name", Text),
    ("email", Text),
    ("phone", Text),
    ("active_flag", Boolean),
    ("is_admin", Integer),
    ("role_id", Integer),
    ("timezone_name", Text),
    ("created", Moment),
    ("modified", Moment),
    ("last_login", Moment),
];

const PIPELINE: Columns = &[
    ("id", Integer),
    ("name", Text),
    ("order_nr", Integer),
    ("is_deleted", Boolean),
    ("is_deal_probability_enabled", Boolean),
    ("add_time", Moment),
    ("update_time", Moment),
];

const STAGE: Columns = &[
    ("id", Integer),
    ("name", Text),
    ("pipeline_id", Integer),
    ("order_nr", Integer),
    ("deal_probability", Integer),
    ("is_deal_rot_enabled", Boolean),
    ("days_to_rotten", Integer),
    ("is_deleted", Boolean),
    ("add_time", Moment),
    ("update_time", Moment),
];
