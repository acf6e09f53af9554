//! The planner, from what is observed to the steps of a run or to all that speaks against it. Nothing
//! here connects anywhere.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what a test expects and does not find is a failed test"
)]

mod converge;
mod deploy;
mod fixture;
mod home;
mod hooks;
mod hooks_single;
mod host_sets;
mod include;
mod instances;
mod interrupted;
mod left_out;
mod live;
mod refusals;
mod replaced;
mod resume;
mod resume_from_anything;
mod rollback;
mod single;
mod strategies;
mod take_over;
mod units;
mod window;
