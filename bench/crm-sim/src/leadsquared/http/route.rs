//! Which operation a method and a path name.

use hyper::Method;

use crate::leadsquared::counters::PathKind;

/// An operation of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    LeadFields,
    LeadById,
    LeadByEmail,
    LeadByPhone,
    LeadsByWord,
    Leads,
    LeadsModified,
    CreateLead,
    UpdateLead,
    UpsertLead,
    CaptureLead,
    BulkCreate,
    BulkUpsert,
    BulkUpdate,
    DeleteLead,
    ActivityTypes,
    ActivitiesOfLead,
    Activities,
    CreateActivity,
    OpportunityType,
    OpportunitiesOfLead,
    Opportunities,
    Users,
    Missing,
}

impl Route {
    pub(crate) fn parse(method: &Method, path: &str) -> Route {
        let Some(path) = path.strip_prefix("/v2/") else {
            return Route::Missing;
        };
        match (method.as_str(), path) {
            ("GET", "LeadManagement.svc/LeadsMetaData.Get") => Route::LeadFields,
            ("GET", "LeadManagement.svc/Leads.GetById") => Route::LeadById,
            ("GET", "LeadManagement.svc/Leads.GetByEmailaddress") => Route::LeadByEmail,
            ("GET", "LeadManagement.svc/RetrieveLeadByPhoneNumber") => Route::LeadByPhone,
            ("GET", "LeadManagement.svc/Leads.GetByQuickSearch") => Route::LeadsByWord,
            ("POST", "LeadManagement.svc/Leads.Get") => Route::Leads,
            ("POST", "LeadManagement.svc/Leads.RecentlyModified") => Route::LeadsModified,
            ("POST", "LeadManagement.svc/Lead.Create") => Route::CreateLead,
            ("POST", "LeadManagement.svc/Lead.Update") => Route::UpdateLead,
            ("POST", "LeadManagement.svc/Lead.CreateOrUpdate") => Route::UpsertLead,
            ("POST", "LeadManagement.svc/Lead.Capture") => Route::CaptureLead,
            ("POST", "LeadManagement.svc/Lead/Bulk/Create") => Route::BulkCreate,
            ("POST", "LeadManagement.svc/Lead/Bulk/CreateOrUpdate") => Route::BulkUpsert,
            ("POST", "LeadManagement.svc/Lead/Bulk/Update") => Route::BulkUpdate,
            ("GET", "LeadManagement.svc/Lead/Delete/ById") => Route::DeleteLead,
            ("GET", "ProspectActivity.svc/ActivityTypes.Get") => Route::ActivityTypes,
            ("POST", "ProspectActivity.svc/Retrieve") => Route::ActivitiesOfLead,
            ("POST", "ProspectActivity.svc/CustomActivity/RetrieveByActivityEvent") => {
                Route::Activities
            }
            ("POST", "ProspectActivity.svc/Create") => Route::CreateActivity,
            ("GET", "OpportunityManagement.svc/GetOpportunityTypeMetadata") => {
                Route::OpportunityType
            }
            ("POST", "OpportunityManagement.svc/GetOpportunitiesOfLead") => {
                Route::OpportunitiesOfLead
            }
            ("POST", "OpportunityManagement.svc/Retrieve/BySearchParameter") => {
                Route::Opportunities
            }
            ("GET", "UserManagement.svc/Users.Get") => Route::Users,
            _ => Route::Missing,
        }
    }

    pub(crate) fn path_kind(self) -> PathKind {
        match self {
            Route::LeadFields | Route::ActivityTypes | Route::OpportunityType | Route::Users => {
                PathKind::Catalog
            }
            Route::LeadById | Route::LeadByEmail | Route::LeadByPhone | Route::LeadsByWord => {
                PathKind::Read
            }
            Route::Leads
            | Route::LeadsModified
            | Route::ActivitiesOfLead
            | Route::Activities
            | Route::OpportunitiesOfLead
            | Route::Opportunities => PathKind::List,
            Route::CreateLead
            | Route::UpdateLead
            | Route::UpsertLead
            | Route::CaptureLead
            | Route::CreateActivity => PathKind::Write,
            Route::BulkCreate | Route::BulkUpsert | Route::BulkUpdate => PathKind::Bulk,
            Route::DeleteLead => PathKind::Delete,
            Route::Missing => PathKind::Unknown,
        }
    }
}
