//! A host that is the controller itself (`ansible_connection: local`): the same scripts, run by `sh` here,
//! and HTTP without a tunnel. `reach` puts it beside the hosts over SSH.
//!
//! | file | what it owns |
//! |---|---|
//! | `host` | the engine's host: typed commands as child processes |
//! | `child` | one script as a child process: input, bounded output, deadline |
//! | `controller` | hooks that run here, and not on a host |
//! | `environment` | what a script finds in its environment |

mod child;
mod controller;
mod environment;
mod host;

pub use controller::ThisMachine;
pub use host::LocalHost;
