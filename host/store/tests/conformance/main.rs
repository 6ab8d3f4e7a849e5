//! What every store must do. Each case runs on the redb store and on the memory store, with a clock that stands still until it
//! is moved, and ends with a recount that must find no difference.

mod catalog;
mod files;
mod fixture;
mod hooks;
mod leases;
mod letters;
mod logs;
mod orders;
mod property;
mod queue;
mod retention;
mod runs;
mod schedules;

/// Makes a test of each case for each store.
macro_rules! suite {
    ($($module:ident { $($case:ident),* $(,)? })*) => {
        mod memory {
            $(mod $module { $(#[test] fn $case() { crate::fixture::Fixture::memory().run(crate::$module::$case); })* })*
        }
        mod redb {
            $(mod $module { $(#[test] fn $case() { crate::fixture::Fixture::redb().run(crate::$module::$case); })* })*
        }
    };
}

suite! {
    runs {
        a_run_goes_from_its_plan_task_to_its_end,
        steps_wait_for_what_they_depend_on,
        a_failed_step_makes_what_depends_on_it_skip,
        a_failure_that_the_step_bears_does_not_fail_it,
        an_idempotency_key_creates_one_run,
        an_idempotency_key_is_forgotten_after_a_day,
        a_paused_run_gives_no_tasks_until_it_is_resumed,
        a_cancelled_run_ends_when_its_attempts_have,
        cancelling_a_large_run_takes_several_pieces,
        failed_tasks_are_retried_by_hand,
        failed_tasks_are_retried_while_others_run,
        a_run_past_its_timeout_is_stopped,
        a_step_with_too_many_failures_stops_where_the_plan_says_so,
        runs_are_listed_newest_first_and_filtered,
        events_tell_everything_without_a_gap,
        the_same_state_is_there_after_reopening,
    }
    queue {
        only_the_attempt_that_holds_a_task_may_write,
        a_retryable_failure_is_tried_again_after_its_wait,
        tasks_are_claimed_by_priority_then_by_due_time,
        concurrency_bounds_the_running_tasks_of_a_step,
        a_task_that_does_not_fit_holds_back_those_behind_it,
        a_task_that_can_never_fit_holds_back_nobody,
        a_key_spawns_one_task,
        a_spawn_past_the_quota_creates_nothing,
        a_stopping_run_spawns_nothing,
        inputs_outputs_and_checkpoints_are_kept_beside_the_task,
        tasks_are_listed_in_order_and_filtered,
        ten_thousand_tasks_are_spawned_at_once_and_claimed_in_order,
        signals_fire_for_new_work,
    }
    orders {
        one_task_is_retried_and_opens_what_had_ended,
        a_task_is_skipped_wherever_it_waits,
        a_running_task_is_cancelled_by_name,
        an_edited_input_reaches_the_next_attempt,
        a_large_retry_by_filter_survives_a_crash_in_the_middle,
        a_step_that_fails_when_its_retry_ends_cancels_what_waits,
        tasks_are_counted_and_listed_by_their_failure,
        a_run_that_starts_paused_does_what_is_summoned,
        each_summons_takes_another_task,
        a_summons_survives_its_worker_and_the_store,
        a_summoned_task_respects_concurrency_and_memory,
        a_stopping_step_takes_summoned_tasks_with_it,
        an_attempt_knows_where_its_last_lines_are,
        usage_is_summed_per_task_and_step,
    }
    leases {
        a_worker_that_is_not_registered_gets_nothing,
        a_lost_worker_loses_its_tasks,
        an_exclusive_worker_takes_over_at_once,
        a_task_that_kills_its_hosts_is_quarantined,
        a_worker_with_tasks_can_not_retire,
        released_tasks_count_against_no_limit,
        what_an_unanswered_claim_took_is_given_back,
        progress_is_stored_with_the_renewal,
    }
    logs {
        lines_are_numbered_in_their_run_and_in_their_step,
        a_repeated_append_repeats_nothing,
        an_append_that_leaves_a_gap_is_refused,
        the_host_tells_of_failed_attempts,
        filters_find_lines_across_chunks,
        pages_go_on_where_the_last_one_ended,
        backwards_is_forwards_from_the_other_end,
        a_text_is_found_wherever_it_is,
        a_reader_hears_of_new_lines,
    }
    letters {
        dead_letters_of_all_runs_are_grouped_by_what_they_failed_of,
        a_task_that_is_retried_or_skipped_is_no_dead_letter,
        a_deleted_run_takes_its_dead_letters_with_it,
        what_is_told_apart_is_bounded,
        tasks_are_found_by_their_numbers_and_while_they_run,
    }
    catalog {
        definitions_have_versions,
        earlier_versions_of_a_definition_are_kept,
        a_plugin_name_means_the_latest_upload,
        an_upload_waits_until_its_check_has_ended,
        a_component_stays_while_an_upload_of_it_waits,
        an_upload_that_ends_its_server_is_refused,
        uploads_are_bounded,
        another_upload_says_what_was_not_recorded,
        a_pinned_plugin_takes_no_name_and_goes_with_its_papers,
        a_plugin_in_use_is_not_removed,
        tokens_are_found_by_their_secret,
    }
    files {
        content_is_read_back_in_pieces,
        what_nothing_names_is_removed,
        an_uploaded_file_expires_unless_it_is_used,
        a_run_without_its_file_is_not_created,
        artifacts_are_published_with_success_only,
        a_deleted_run_takes_its_artifacts_with_it,
        outputs_come_in_the_order_of_their_tasks,
    }
    retention {
        a_live_run_is_not_deleted,
        a_deleted_run_is_gone_at_once_and_its_rows_follow,
        old_runs_go_by_age,
        surplus_runs_go_by_count,
    }
    schedules {
        a_schedule_comes_changes_and_goes_with_its_definition,
        a_fire_starts_one_run_with_its_record,
        a_time_starts_one_run_even_if_the_schedule_is_made_anew,
        the_end_of_a_run_makes_a_waiting_fire_due,
        a_fire_cancels_the_run_before_it,
        a_run_that_is_retried_counts_again,
        a_definition_that_can_not_run_is_refused_and_says_why,
        a_pause_lasts_and_somebody_may_still_ask_for_a_run,
        the_history_is_bounded,
    }
    hooks {
        who_wants_to_know_is_told_once,
        a_transaction_that_is_refused_tells_nothing,
        dead_letters_are_gathered_until_they_are_sent,
        hooks_come_change_and_go_with_their_definition,
        a_delivery_belongs_to_one_attempt_at_a_time,
        every_hook_gets_its_turn_and_its_room,
        failed_deliveries_are_kept_and_sent_again,
        what_waits_failed_and_arrived_is_bounded,
    }
    property {
        random_commands_keep_every_count_right,
    }
}
