//! What every backend must do. A behaviour is a function over a store; a backend
//! runs them all with [`for_each_behaviour`].

pub(crate) mod grants;
pub(crate) mod jobs;
pub(crate) mod kv;
pub(crate) mod limits;
pub(crate) mod streams;

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
            kv::values_are_set_replaced_and_removed;
            kv::keys_are_listed_by_prefix_in_order;
            kv::bytes_are_counted_per_scope;
            jobs::a_job_is_replaced_by_its_newer_self;
            jobs::jobs_of_a_sync_come_newest_first;
            jobs::an_id_is_not_taken_over_by_another_sync;
            jobs::only_the_newest_finished_jobs_are_kept;
            limits::blocks_add_up_and_old_ones_are_forgotten;
            limits::limits_do_not_see_one_another;
        }
    };
}
pub(crate) use for_each_behaviour;
