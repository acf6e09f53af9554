//! The one machine that CodeDeploy's agent and an older system's five scripts keep, as it stands: its user, folders,
//! properties and nginx, first deployed by these scripts (codedeploy_scripts/bundle). Then by the hooks of
//! examples/codedeploy, which the same agent calls on that machine, with no hand on it; and back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::fixture::{App, Fleet, Load, get};

/// The machine: nginx and both applications on one.
const MACHINE: &str = "nginx-1";
const SITE: &str = "localhost";
const NONSTOP: &str = "/usr/local/bin/nonstop";
const OLD: &str = "/fleet/repo/tests/fleet/codedeploy_scripts/bundle";
const NEW: &str = "/fleet/repo/examples/codedeploy";
const AGENT: &str = "/fleet/repo/tests/fleet/codedeploy_scripts/agent.sh";

struct Machine<'f> {
    fleet: &'f Fleet,
}

impl<'f> Machine<'f> {
    fn set_up(fleet: &'f Fleet) -> Self {
        fleet.on(MACHINE, include_str!("codedeploy_scripts/server.sh"));
        fleet.put_binary(MACHINE, NONSTOP);
        Self { fleet }
    }

    fn on(&self, script: &str) -> String {
        self.fleet.on(MACHINE, script)
    }

    /// A deployment of a bundle with a jar, which `more` may change before the agent gets it. Gives what the agent said.
    fn deploys(&self, bundle: &str, version: &str, more: &str) -> String {
        self.on(&format!(
            "rm -rf /tmp/bundle && cp -r {bundle} /tmp/bundle && cd /tmp/bundle &&
             cp /fleet/state/jars/app-{version}.jar segansig-1.0.1-{version}.jar && {{ {more}; }} &&
             {{ sh {AGENT} d-$(date +%s%N) /tmp/bundle 2>&1 || :; }}"
        ))
    }

    /// A deployment by nonstop's hooks, which must succeed and leave that version live.
    #[track_caller]
    fn has_deployed(&self, version: &str, more: &str) {
        let said = self.deploys(NEW, version, more);
        assert!(!said.contains("FAILED"), "{said}");
        assert_eq!(answers("/version"), [version], "{said}");
    }

    /// A deployment by the scripts, which do not wait for nginx to have reloaded.
    fn had_deployed(&self, version: &str, profile: &str) {
        let said = self.deploys(OLD, version, ":");
        assert!(!said.contains("FAILED"), "{said}");
        let began = Instant::now();
        while answers("/version") != [version] {
            assert!(began.elapsed() < Duration::from_secs(30), "{said}");
            std::thread::sleep(Duration::from_millis(200));
        }
        assert_eq!(answers("/profile"), [profile]);
    }

    /// The ports that the applications listen on, with their pids.
    fn listeners(&self) -> Vec<(u16, u32)> {
        let said = self.on("sh /fleet/repo/tests/fleet/host/listeners");
        let read = |line: &str| {
            let mut words = line.split(' ');
            let port = words.next()?.parse().ok()?;
            Some((port, words.next()?.parse().ok()?))
        };
        let all = said.lines().filter_map(read);
        all.filter(|(port, _)| [8081, 8082].contains(port)).collect()
    }

    /// The port that the old system's own file leads to.
    fn line(&self) -> String {
        self.on("cat /etc/nginx/conf.d/service-url.inc").trim().to_owned()
    }
}

impl Drop for Machine<'_> {
    fn drop(&mut self) {
        // The reset of the fleet knows nothing of this user; a second panic would end all tests.
        let remove = format!(
            "userdel -f -r ec2-user 2>/dev/null
             rm -rf /etc/sudoers.d/90-cloud-init-users /opt/codedeploy-agent {NONSTOP}"
        );
        let _ = catch_unwind(AssertUnwindSafe(|| self.on(&remove)));
    }
}

/// What the machine's nginx answers: each distinct answer once.
fn answers(path: &str) -> Vec<String> {
    let (_, port) = App::listeners()
        .find(|(host, _)| *host == MACHINE)
        .expect("it is published");
    let mut answers: Vec<String> = (0..8)
        .map(|_| match get(port, SITE, path) {
            Ok(answer) if answer.status == 200 => answer.body,
            other => format!("{other:?}"),
        })
        .collect();
    answers.sort();
    answers.dedup();
    answers
}

#[test]
#[ignore = "takes a minute, and tests/local has the hooks in short: make test-all"]
fn the_machine_of_the_old_scripts_is_deployed_to_by_hooks_and_rolled_back_without_a_hand_on_it() {
    let fleet = Fleet::reset();
    let machine = Machine::set_up(&fleet);
    machine.had_deployed("v1", "real1");
    machine.had_deployed("v2", "real2");
    let left = machine.listeners();
    assert_eq!(left.len(), 2, "the scripts leave the old one up: {left:?}");

    let load = Load::start(SITE);
    // What the scripts left on the idle port is no process that nonstop could know: nothing is touched.
    let said = machine.deploys(NEW, "v3", ":");
    assert!(said.contains("FAILED AfterInstall look.sh 4"), "{said}");
    let named = "a foreign process listens on web-1:8081, the idle port: java";
    assert!(said.contains(named), "{said}");
    assert_eq!(machine.listeners(), left);
    assert_eq!(machine.line(), "set $service_url http://127.0.0.1:8082;");
    // The first bundle keeps the one script that ends it, as every deployment so far began.
    let keeps = format!(
        "cp {OLD}/stop.sh {OLD}/profile.sh . && \
         sed -i 's/^    - location: look.sh$/    - location: stop.sh\\n      timeout: 60\\n      runas: ec2-user\\n&/' appspec.yml"
    );
    machine.has_deployed("v3", &keeps);
    assert_eq!(answers("/profile"), ["real1"]);
    assert_eq!(machine.line(), "set $service_url http://127.0.0.1:8081;");
    // The old slot is kept until the next deployment, and is still the scripts' own process.
    let second = left.iter().find(|(port, _)| *port == 8082).expect("it was there");
    assert!(machine.listeners().contains(second));
    machine.has_deployed("v1", ":");
    assert_eq!(answers("/profile"), ["real2"]);
    assert!(!machine.listeners().contains(second));
    let rolled_back = machine.on("su ec2-user -c 'cd /tmp/bundle && nonstop rollback' 2>&1 || echo FAILED");
    assert!(!rolled_back.contains("FAILED"), "{rolled_back}");
    assert_eq!(answers("/version"), ["v3"], "{rolled_back}");
    assert_eq!(machine.line(), "set $service_url http://127.0.0.1:8081;");
    load.lost_nothing_through(&[MACHINE]);
}
