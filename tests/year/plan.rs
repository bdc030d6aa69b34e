//! What goes wrong with the practices' systems, and when. Knows nothing of the gateway.

use std::ops::Range;

/// Its dictionary lacks the codes of these entries: it keeps their text.
pub const GAP: &str = "N84002";
pub const LACKS: [&str; 2] = ["signposted", "episode-closed"];
/// It does not have one in so many of the people that it referred.
pub const STRANGERS: &str = "N84004";
const STRANGER_EVERY: u32 = 25;
/// It switches write-back off for a while; later a person has some of what it refused sent again.
pub const SWITCHED: &str = "N84005";
pub const OFF: Range<u32> = 100..130;
pub const RESENT_ON: u32 = 140;
/// What was refused before this day is sent again.
pub const RESENT_BEFORE: u32 = 115;
/// It files what it is sent, loses the answer to so many on every such day, and would file again
/// whatever came a second time.
pub const FORGETFUL: &str = "N84006";
pub const LOST: u32 = 2;
pub const LOST_EVERY: u32 = 4;
/// It is down for a while.
pub const DOWN: &str = "N84008";
const DOWN_DAYS: Range<u32> = 200..212;
/// It is down from this day on, and still when the year ends.
pub const ENDS_DOWN: &str = "N84012";
pub const DOWN_FROM: u32 = 330;
/// There is no way to it.
pub const ROUTELESS: &str = "N84630";

pub fn is_stranger(n: u32) -> bool {
    n.is_multiple_of(STRANGER_EVERY)
}

pub fn is_down(practice: &str, day: u32) -> bool {
    (practice == DOWN && DOWN_DAYS.contains(&day)) || (practice == ENDS_DOWN && day >= DOWN_FROM)
}
