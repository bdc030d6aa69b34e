//! The episode as a state machine: where one person's way through the service stands, what may
//! happen there, and where it leads. Pure; `state` says the same of `Task.status`.
//!
//! ```text
//! offered -> contacting -> accepted -> assessed -> planned -> reviewed -> closed
//!     \           \            ^          (each step may be passed over,      |
//!      +-----------+-> declined|           but nothing is reviewed that       |
//!                      returned+-----------was not planned)-------- reopened -+
//! ```
//!
//! A state before acceptance and the ends are read from the Task; those between, which a Task does
//! not know, stand in the EpisodeOfCare as its stage. National codes: `accepted` once an episode,
//! `declined` at its only end of that kind; a reopened episode is the same one and repeats none.

/// Where an episode stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The pool has been asked; nobody has looked.
    Offered,
    /// The pool has looked, and tries to reach the person.
    Contacting,
    /// The person accepted.
    Accepted,
    /// A first measure was taken.
    Assessed,
    /// A plan is agreed.
    Planned,
    /// The plan was reviewed.
    Reviewed,
    /// It ended after the person had accepted.
    Closed,
    /// The person said no.
    Declined,
    /// It ended before the person accepted, other than by their no.
    Returned,
    /// The referrer withdrew it.
    Withdrawn,
}

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The pool looks at it.
    Look,
    /// The person was not reached, or did not come.
    Attempt,
    /// The person was met or spoken to.
    Meet,
    /// Somebody was written to.
    Write,
    /// Somebody says that they look at an alert.
    Acknowledge,
    /// The person was told of a service: not a referral.
    Signpost,
    /// The person accepts.
    Accept,
    /// The person says no.
    Decline,
    /// It ends before acceptance otherwise.
    Return,
    /// A measure is taken.
    Assess,
    /// A goal or plan is drafted or changed.
    Draft,
    /// A plan is agreed.
    Agree,
    /// The agreed plan is reviewed.
    Review,
    /// The person is referred onward.
    Refer,
    /// Work rests or goes on.
    Carry,
    /// It ends.
    Close,
    /// It goes on after its end.
    Reopen,
}

/// The state that an event leads to, or why it may not happen there.
///
/// # Errors
/// Words for the sender.
pub fn next(from: State, event: Event) -> Result<State, &'static str> {
    use Event::{
        Accept, Acknowledge, Agree, Assess, Attempt, Carry, Close, Decline, Draft, Look, Meet, Refer, Reopen, Return,
        Review, Signpost, Write,
    };
    use State::{Accepted, Assessed, Closed, Contacting, Declined, Offered, Planned, Returned, Reviewed, Withdrawn};
    match (from, event) {
        // An alert is answered wherever the episode stands: it outlives the episode, and so must its answer.
        (_, Acknowledge) => Ok(from),
        (Withdrawn, _) => Err("the referrer withdrew the referral"),
        (Declined | Returned, _) => Err("it ended before the person accepted; a new referral begins a new episode"),
        (Closed, Reopen) => Ok(Accepted),
        (Closed, _) => Err("the episode is closed; reopen it first"),
        (_, Reopen) => Err("only a closed episode is reopened"),

        (Offered | Contacting, Look | Attempt | Meet) => Ok(Contacting),
        (Offered | Contacting, Write | Signpost) => Ok(from),
        (Offered | Contacting, Accept) => Ok(Accepted),
        (Offered | Contacting, Decline) => Ok(Declined),
        (Offered | Contacting, Return) => Ok(Returned),
        (Offered | Contacting, Assess | Draft | Agree | Review | Refer | Carry) => {
            Err("the person has not accepted yet")
        }
        (Offered | Contacting, Close) => Err("accept it first, or reject it"),

        (_, Look) => Err("the person accepted: the pool has looked at it long ago"),
        (_, Accept) => Err("the person accepted already"),
        (_, Decline | Return) => Err("the person accepted; close it and say why"),
        (Accepted, Assess) => Ok(Assessed),
        (Accepted | Assessed, Agree) => Ok(Planned),
        (Planned | Reviewed, Agree) => Err("a plan is agreed already; change or review that one"),
        (Accepted | Assessed, Review) => Err("there is no agreed plan to review"),
        (Planned | Reviewed, Review) => Ok(Reviewed),
        (_, Attempt | Meet | Write | Signpost | Assess | Draft | Refer | Carry) => Ok(from),
        (_, Close) => Ok(Closed),
    }
}

/// The state of a Task by its status, its episode's stage and, where it is rejected, by whether
/// that is the person's no.
pub fn state(status: &str, stage: &str, is_decline: bool) -> State {
    match status {
        "draft" | "requested" | "ready" => State::Offered,
        "received" => State::Contacting,
        "accepted" | "in-progress" | "on-hold" => of_stage(stage),
        "completed" => State::Closed,
        "rejected" if is_decline => State::Declined,
        "rejected" => State::Returned,
        _ => State::Withdrawn,
    }
}

/// The stages that an EpisodeOfCare may say, with their words.
const STAGES: [(State, &str); 4] = [
    (State::Accepted, "accepted"),
    (State::Assessed, "assessed"),
    (State::Planned, "plan-agreed"),
    (State::Reviewed, "reviewed"),
];

fn of_stage(stage: &str) -> State {
    STAGES.iter().find(|(_, word)| *word == stage).map_or(State::Accepted, |(state, _)| *state)
}

/// The word by which an EpisodeOfCare says the stage, where the state is one.
pub fn stage(state: State) -> Option<&'static str> {
    STAGES.iter().find(|(known, _)| *known == state).map(|(_, word)| *word)
}

#[cfg(test)]
#[path = "episode_tests.rs"]
mod tests;
