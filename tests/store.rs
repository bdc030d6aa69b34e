//! The store's contract (see `src/store/mod.rs`), checked on both engines by one suite. Each
//! check gets a new, empty store. PostgreSQL is started by the test itself; where it is not
//! installed its half says so and passes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

#[path = "support/postgres.rs"]
mod postgres;
#[path = "support/store.rs"]
mod support;

#[path = "store/countdowns.rs"]
mod countdowns;
#[path = "store/faults.rs"]
mod faults;
#[path = "store/filing.rs"]
mod filing;
#[path = "store/log.rs"]
mod log;
#[path = "store/outbox.rs"]
mod outbox;
#[path = "store/search.rs"]
mod search;
#[path = "store/standing.rs"]
mod standing;
#[path = "store/writing.rs"]
mod writing;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// A check takes longer than this only when it never ends.
const CHECK_MAX: Duration = Duration::from_secs(600);

/// A check, given the URL of an empty store.
type Check = fn(String) -> Pin<Box<dyn Future<Output = ()> + Send>>;

/// Runs every check on SQLite as a test of its own, and all of them on one PostgreSQL server.
macro_rules! on_both_engines {
    ($($file:ident::$check:ident,)*) => {
        const CHECKS: &[(&str, Check)] = &[
            $((stringify!($check), |url| Box::pin($file::$check(url))),)*
        ];

        mod sqlite {
            $(
                #[tokio::test(flavor = "multi_thread")]
                async fn $check() {
                    let folder = tempfile::tempdir().unwrap();
                    let url = format!("sqlite:{}", folder.path().join("store.db").display());
                    crate::$file::$check(url).await;
                }
            )*
        }
    };
}

on_both_engines! {
    writing::a_commit_is_read_back_whole,
    writing::a_refused_commit_changes_nothing,
    writing::refusals_do_not_harm_commits_beside_them,
    writing::one_door_key_is_taken_once_among_many,
    writing::versions_are_never_lost_among_many_writers,
    writing::history_keeps_every_version,
    writing::it_survives_being_closed_and_opened,
    writing::a_store_that_migrate_has_not_made_is_refused,
    writing::long_and_strange_texts_are_kept,
    writing::a_store_opened_for_reading_refuses_commits,
    standing::the_ledger_keeps_when_a_referral_was_first_received,
    standing::ignored_candidates_are_counted,
    standing::a_hold_made_again_is_one_hold,
    standing::a_person_has_one_open_episode,
    countdowns::a_clock_goes_only_forward,
    countdowns::many_changes_of_one_clock_at_once_end_the_same,
    countdowns::a_persons_episodes_are_found_the_open_one_first,
    search::each_kind_of_test_narrows,
    search::the_index_follows_the_current_version,
    search::only_visible_resources_are_found,
    search::pages_stay_true_while_others_write,
    search::a_common_value_and_a_rare_one_are_both_found,
    outbox::rows_of_an_episode_leave_in_order,
    outbox::a_lease_that_ran_out_is_lost,
    outbox::rows_are_claimed_once_by_many,
    outbox::what_is_not_delivered_is_listed_and_queued_again,
    filing::a_filing_moves_one_version_at_a_time,
    filing::filings_are_found_by_what_is_asked,
    filing::a_row_is_sent_again_when_asked,
    filing::a_dictionary_keeps_what_was_seen_last,
    log::the_root_is_the_one_anybody_computes,
    log::checkpoints_are_kept_at_each_thousand,
    log::entries_are_found_by_what_they_say,
    log::a_cut_tail_would_be_seen,
    faults::each_fault_leaves_the_same_end_state,
    faults::more_commits_than_the_queue_holds_are_refused,
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql() {
    let Some(server) = postgres::start() else { return };
    for (name, check) in CHECKS {
        eprintln!("on PostgreSQL: {name}");
        let url = server.database(name);
        tokio::time::timeout(CHECK_MAX, check(url)).await.expect("in time");
    }
}

/// The server's certificate is checked: by the authority that the URL names, or not at all.
#[tokio::test(flavor = "multi_thread")]
async fn postgresql_over_tls() {
    let Some(server) = postgres::start() else { return };
    let root = server.speak_tls();
    let url = server.database("tls");
    support::made(&format!("{url}?sslmode=require&sslrootcert={root}")).await.ready().await.unwrap();
    let unknown = format!("{url}?sslmode=require");
    assert!(fingerpost::store::Store::migrate(&support::settings(&unknown)).await.is_err(), "an unknown authority");
    support::made(&url).await.ready().await.unwrap();
}
