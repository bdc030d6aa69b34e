//! The Booking and Referral Standard. <https://simplifier.net/guide/nhsbookingandreferralstandard>

mod examples;
mod exchange;
