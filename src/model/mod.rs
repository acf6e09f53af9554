//! Floor 0: what a fleet, a release and a run are, and the rules that decide. Pure data and pure
//! functions: no I/O, no clock, no runtime. Every other floor speaks in these types.

mod behind;
pub mod context;
pub mod deadline;
pub mod decision;
pub mod defect;
pub mod drill;
pub mod endpoint;
pub mod event;
pub mod failure;
pub mod finding;
pub mod identity;
pub mod inventory;
pub mod live;
pub mod lock;
pub mod names;
pub mod nginx_conf;
pub mod nginx_site;
pub mod notify;
pub mod observed;
pub mod outcome;
pub mod phase;
pub mod plan;
pub mod playbook;
pub mod problem;
pub mod process;
pub mod record;
pub mod release;
pub mod routing;
pub mod run_view;
pub mod seconds;
pub mod secret;
pub mod service_url;
pub mod strategy;
pub mod template;
pub mod token;
pub mod topology;
