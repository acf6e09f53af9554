//! The planner: from what is true on the fleet and a goal to the steps that lead there, or to the
//! reasons why there is no way. Pure; `nonstop plan` prints what `deploy` runs.

mod between;
mod forward;
mod forward_again;
mod going_on;
mod history;
mod home;
mod hooks;
mod on_host;
mod preflight;
mod replaced;
mod resume;
mod single;
mod stages;
mod start;
mod step;
mod switch;
mod units;
mod victims;
mod waiting;
mod way_back;
mod window;

pub use forward::{Goal, Scene, drill_back, drill_forward, forward};
pub use forward_again::{converge_to, forward_again};
pub use going_on::{at_home, in_question, onward};
pub use history::{intent, left};
pub use home::{HomeGoal, home};
pub use hooks::{Because, on_failure, overdue_hooks, running_hooks, unclear_hooks};
pub use on_host::offered;
pub use preflight::{instance_lives_on, preflight, start_needs};
pub use resume::{asked, back_again, evidence, gone_on_with, interrupted, is_converged, obstacles};
pub use single::{Bound, Hooked, Jar, Next, NextLeg, is_out, lacking, legs_so_far, next_leg};
pub use stages::known_anywhere;
pub use step::{CleanUp, HostStep, NginxFacts, Plan, Stage, StartRunner, Step, Switch, UpstreamFile, Viewed};
pub use switch::GENERATION_PATH;
pub use victims::killed;
pub use waiting::{Promote, promote, promoted, waiting};
pub use way_back::{By, WayBack, way_back};
pub use window::{settle, timers};
