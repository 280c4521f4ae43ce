//! What every backend must do. A behaviour is a function over a store; a backend
//! runs them all with [`for_each_behaviour`].

pub(crate) mod control;
pub(crate) mod events;
pub(crate) mod flow;
pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod kv;
pub(crate) mod limits;
pub(crate) mod queue;
pub(crate) mod schedules;
pub(crate) mod schemas;
pub(crate) mod streams;
pub(crate) mod upkeep;

/// Hands each behaviour, as `topic::name`, to a backend's macro.
macro_rules! for_each_behaviour {
    ($run:ident) => {
        $run! {
            streams::a_stream_that_was_never_read_is_empty;
            streams::a_lease_is_held_until_it_runs_out_or_is_given_back;
            streams::an_epoch_exceeds_the_stored_one_and_the_floor;
            streams::only_a_lease_that_was_given_back_needs_no_fence;
            streams::a_zombie_can_do_nothing_after_a_takeover;
            streams::an_epoch_alone_or_a_token_alone_proves_nothing;
            streams::a_lease_that_ran_out_still_guards_until_it_is_taken;
            streams::a_seal_moves_only_from_the_staged_state;
            streams::a_seal_that_does_not_chain_is_refused;
            streams::batches_are_numbered_without_gaps;
            streams::commits_are_marked_in_order_and_at_the_tail;
            streams::the_published_state_moves_by_its_intent_only;
            streams::reconciling_adopts_keeps_and_abandons;
            streams::reconciling_refuses_what_does_not_add_up;
            streams::staged_paths_are_those_of_live_intents;
            streams::two_hundred_seals_at_once_all_land;
            grants::versions_grow_by_one;
            grants::one_of_two_refreshers_wins;
            grants::a_loser_never_changes_a_winners_grant;
            grants::a_right_that_ran_out_passes_on;
            grants::a_new_authorisation_ends_a_refresh;
            grants::the_first_data_key_stays;
            grants::a_grant_says_since_when_it_is_as_it_is;
            grants::a_data_key_is_rewrapped_once_and_destroyed_with_its_grants;
            kv::values_are_set_replaced_and_removed;
            kv::keys_are_listed_by_prefix_in_order;
            kv::bytes_are_counted_per_scope;
            jobs::a_job_is_replaced_by_its_newer_self;
            jobs::jobs_of_a_sync_come_newest_first;
            jobs::an_id_is_not_taken_over_by_another_sync;
            jobs::only_the_newest_finished_jobs_are_kept;
            schemas::a_catalog_is_confirmed_or_the_newest_of_a_history;
            schemas::only_the_newest_catalogs_are_kept;
            schemas::a_contract_moves_only_from_the_expected_revision;
            limits::what_was_reserved_stays_until_it_is_settled;
            limits::limits_do_not_see_one_another;
            limits::a_gate_stays_closed_until_the_last_time_given;
            limits::the_last_clock_reading_is_kept;
            flow::requests_are_read_by_tenant_and_job_page_by_page;
            flow::what_is_missing_is_counted;
            flow::requests_go_when_their_time_is_over;
            control::nothing_is_written_for_a_tenant_that_does_not_exist;
            control::a_tenant_is_made_once_and_suspended;
            control::a_key_is_found_by_its_hash_until_it_is_forgotten;
            control::a_document_moves_only_from_the_expected_revision;
            control::documents_are_listed_by_kind_and_tenant;
            control::what_is_mentioned_must_exist_and_stays;
            control::a_commit_that_fails_leaves_nothing;
            control::a_repeated_request_is_answered_and_not_done_again;
            control::secrets_show_their_names_and_fingerprints_only;
            control::a_connector_version_is_one_digest;
            control::a_shared_connector_is_seen_by_all_and_an_own_one_by_its_tenant;
            control::every_commit_is_an_entry_that_follows_from_the_last;
            control::an_attached_job_is_remembered_with_the_answer;
            queue::of_each_class_tenant_and_connection_the_longest_due_is_offered;
            queue::a_suspended_tenant_s_jobs_wait;
            queue::one_of_many_workers_gets_a_job;
            queue::jobs_of_a_track_run_one_after_another;
            queue::a_job_is_not_claimed_before_its_time;
            queue::a_job_that_rests_is_due_when_its_sync_is_written;
            queue::a_lost_claim_can_do_nothing;
            queue::a_settlement_is_whole;
            queue::a_job_that_nobody_holds_must_say_when_it_goes_on;
            queue::a_waiting_job_is_cancelled_at_once;
            queue::a_running_job_is_asked_to_end;
            queue::a_job_whose_worker_is_gone_is_cancelled_and_its_worker_fenced;
            queue::a_request_attaches_to_a_job_that_does_the_same;
            queue::jobs_are_found_by_sync_state_and_reason;
            queue::attempts_and_lines_are_numbered_and_the_newest_kept;
            queue::a_job_without_a_queue_is_none_of_the_queue_s;
            schedules::schedules_come_due_in_order;
            schedules::of_many_schedulers_one_fires;
            schedules::a_schedule_that_was_changed_meanwhile_does_not_fire;
            schedules::a_missed_schedule_attaches_and_the_last_one_goes_away;
            events::events_are_dispatched_once_and_in_order;
            events::a_delivery_is_one_worker_s_until_its_claim_runs_out;
            events::a_delivery_is_tried_again_and_given_up;
            events::one_subscriber_s_queue_hides_no_other_s;
            events::a_replay_sends_what_a_subscription_was_to_hear;
            events::a_subscription_that_went_hears_nothing;
            upkeep::finished_jobs_go_and_unfinished_ones_stay;
            upkeep::events_go_once_they_are_dispatched;
            upkeep::keys_that_ended_are_forgotten;
            upkeep::the_audit_log_loses_its_start_and_stays_a_chain;
            upkeep::answers_go_after_a_day_and_much_goes_in_parts;
        }
    };
}
pub(crate) use for_each_behaviour;
