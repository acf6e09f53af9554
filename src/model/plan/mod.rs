//! The planner: from what is true on the fleet and a goal to the steps that lead there, or to the
//! reasons why there is no way. Pure; `nonstop plan` prints what `deploy` runs.

mod forward;
mod history;
mod home;
mod preflight;
mod stages;
mod step;
mod switch;

pub use forward::{Goal, Scene, forward};
pub use history::adopted;
pub use home::{HomeGoal, home, home_generations};
pub use preflight::preflight;
pub use step::{CleanUp, HostStep, NginxFacts, Plan, Stage, StartRunner, Step, Switch, Viewed};
pub use switch::GENERATION_PATH;
