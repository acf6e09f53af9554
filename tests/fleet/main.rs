//! Deploys to the real fleet of docker-compose.test.yml, real sshd, nginx and Spring Boot, and looks at
//! what happened: the bytes below /etc/nginx, the processes that live, the version that every nginx
//! answers with, and whether a request got lost. `make test` brings the fleet up and runs these;
//! by hand: `tests/fleet/ctl up` and `cargo test --test fleet`. The tests share one fleet and take
//! turns.

mod bench;
mod codedeploy_scripts;
mod combinations;
mod contract;
mod crash;
mod deploys;
mod draining;
mod drill;
mod fixture;
mod hooks;
mod include;
mod interrupts;
mod jenkins_script;
mod lock;
mod memory;
mod migration;
mod neighbours;
mod on_host;
mod refused;
mod reverted;
mod rollback;
mod single;
mod stays_as_it_was;
mod strategies;
#[path = "../contract/suite/mod.rs"]
#[expect(
    clippy::unwrap_used,
    reason = "what does not go without saying is a failed test"
)]
mod suite;
mod window;
#[path = "../world/mod.rs"]
#[expect(
    clippy::unwrap_used,
    reason = "what does not go without saying is a failed test"
)]
mod world;
