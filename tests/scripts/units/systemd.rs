//! A stand-in for systemd: a `systemctl` that writes down what it is asked and really starts and ends processes, and
//! a `journalctl` that shows what they wrote. Like the real one it starts what crashed again, where it is told to.

use std::fs;
use std::path::PathBuf;

use nonstop::model::names::{Port, SlotName, UnitName};
use nonstop::model::unit::{AtBoot, Unit};
use nonstop::remote::command::RenderedRunner;

use crate::helper;
use crate::host::{Host, Shell, blue};

const SYSTEMCTL: &str = r#"#!/bin/sh
set -eu
for last; do :; done
unit=$last D=@S@/$unit
[ ! -e @S@/silent ] || exit 1
alive() {
    [ -s "$D/main" ] && read -r pid <"$D/main" && [ -d "/proc/$pid" ] && ! grep -q '^State:.Z' "/proc/$pid/status"
}
run() {
    rm -f "$D/failed" "$D/begun"
    env -i PATH="$PATH" setsid sh -c 'echo $$ >"$1/main"; : >"$1/wanted"; : >"$1/begun"; exec sh "$1/exec"' sh "$D" \
        </dev/null >>"$D/journal" 2>&1 3>&- 8<&- 9<&- &
    until [ -e "$D/begun" ]; do sleep 0.01; done
}
case $1 in
show)
    main=0 active=inactive result=success status=0 load=loaded file=disabled
    if [ ! -d "$D" ]; then
        load=not-found file=
    elif alive; then
        main=$pid active=active
        [ -e "$D/wanted" ] || active=deactivating
    elif [ -e "$D/wanted" ] && [ -e "$D/restart" ]; then
        run
        read -r main <"$D/main"
        active=active
    elif [ -e "$D/wanted" ]; then
        rm -f "$D/wanted"
        : >"$D/failed"
    fi
    if [ -e "$D/late" ] && [ "$main" != 0 ] && echo >>"$D/late" && [ "$(wc -l <"$D/late")" -le 40 ]; then
        main=0 active=activating
    fi
    [ ! -e "$D/failed" ] || active=failed result=exit-code status=7
    [ ! -e "$D/masked" ] || load=masked
    [ ! -e "$D/enabled" ] || file=enabled
    [ ! -e "$D/static" ] || file=static
    [ ! -e "$D/queued" ] || echo Job=7
    printf '%s\n' "UnitFileState=$file" "Id=$unit" "Result=$result" "MainPID=$main" "ExecMainStatus=$status" \
        "LoadState=$load" "ActiveState=$active"
    exit 0
    ;;
esac
echo "$*" >>@S@/asked
[ ! -e "$D/refuses-$1" ] || { printf 'Failed to do that:\033[31m no\n' >&2; exit 1; }
case $1 in
start)
    if [ -e "$D/waits" ]; then
        : >"$D/queued"
        (sleep 5; run; rm -f "$D/queued") </dev/null >/dev/null 2>&1 3>&- 8<&- 9<&- &
    else
        alive || run
    fi
    ;;
stop)
    rm -f "$D/wanted"
    ! alive || kill -TERM "$pid"
    ;;
kill) ! alive || kill -KILL "$pid" ;;
reset-failed) rm -f "$D/failed" ;;
enable) : >"$D/enabled" ;;
disable) rm -f "$D/enabled" ;;
*) exit 1 ;;
esac
"#;

const JOURNALCTL: &str = r#"#!/bin/sh
for word; do
    case $word in
    --unit=*) unit=${word#--unit=} ;;
    esac
done
cat @S@/"$unit"/journal
"#;

/// A host on which systemd runs the slot `blue`.
pub(super) struct Booted {
    pub(super) host: Host,
    pub(super) port: Port,
    pub(super) unit: String,
}

/// Gives a host the stand-in.
pub(crate) fn stands_in(host: &Host) {
    let at = host.path("systemd").to_str().expect("UTF-8").to_owned();
    host.program("systemctl", &SYSTEMCTL.replace("@S@", &at));
    host.program("journalctl", &JOURNALCTL.replace("@S@", &at));
}

/// Gives a slot a unit, whose application answers over HTTP from wherever the port's link leads; tells its name.
pub(crate) fn answers(host: &mut Host, slot: SlotName, port: Port) -> String {
    let RenderedRunner::Process { argv } = helper::answering() else {
        panic!("no process")
    };
    let line = format!("NONSTOP_PORT={port} exec {}", argv.join(" "));
    has_unit(host, slot, port, &line)
}

/// The same with a line of shell.
fn has_unit(host: &mut Host, slot: SlotName, port: Port, line: &str) -> String {
    let unit = format!("sokdak@{port}.service");
    let name = UnitName::new(&unit).expect("a unit");
    let at_boot = AtBoot::Follows;
    host.units.insert(slot, Unit { name, at_boot });
    fs::create_dir_all(host.path("systemd").join(&unit)).expect("a folder");
    runs_line(host, &unit, port, line);
    unit
}

fn runs_line(host: &Host, unit: &str, port: Port, line: &str) {
    let folder = host.path(&format!("app/current/{port}"));
    let text = format!("cd -P {}\n{line}\n", folder.display());
    fs::write(host.path("systemd").join(unit).join("exec"), text).expect("written");
}

/// Has the stand-in do something by hand.
pub(crate) fn by_hand(host: &Host, verb: &str, unit: &str) {
    let path = host.path("bin/systemctl");
    let status = std::process::Command::new("sh")
        .arg(path)
        .args([verb, unit])
        .status();
    assert!(status.expect("it runs").success(), "{verb}");
    let _ = fs::remove_file(host.path("systemd/asked"));
}

impl Booted {
    /// With the release `r1` in place, and a unit that runs the tests' application from wherever the port's link leads.
    pub(super) fn new(shell: Shell) -> Self {
        let mut host = Host::new(shell);
        let port = crate::host::free_port();
        stands_in(&host);
        let words = helper::shell_words();
        let line = format!("NONSTOP_PORT={port} NONSTOP_SLOT=a-unit exec {words}");
        let unit = has_unit(&mut host, blue(), port, &line);
        host.lock();
        host.put("r1", b"a jar");
        Self { host, port, unit }
    }

    /// Lets the unit run a line of shell, in the folder that the port's link leads to.
    pub(super) fn runs(&self, line: &str) {
        runs_line(&self.host, &self.unit, self.port, line);
    }

    /// Something in the stand-in's folder of the unit.
    pub(super) fn place(&self, name: &str) -> PathBuf {
        self.host.path("systemd").join(&self.unit).join(name)
    }

    /// Sets one of the stand-in's marks.
    pub(super) fn is(&self, mark: &str) {
        fs::write(self.place(mark), "").expect("written");
    }

    /// Has it done by hand.
    pub(super) fn by_hand(&self, verb: &str) {
        by_hand(&self.host, verb, &self.unit);
    }

    /// What it was asked to change since it was last asked for this, without the unit's name.
    pub(super) fn asked(&self) -> Vec<String> {
        let file = self.host.path("systemd/asked");
        let asked = fs::read_to_string(&file).unwrap_or_default();
        let _ = fs::remove_file(file);
        asked
            .lines()
            .map(|line| {
                let verb = line.strip_suffix(&self.unit).expect("nobody else's unit");
                verb.trim().to_owned()
            })
            .collect()
    }
}
