//! The command line where it ends before any host is asked.

#![expect(clippy::unwrap_used, reason = "a binary that cannot be run is a failed test")]

use std::path::Path;

use assert_cmd::Command;

fn nonstop(arguments: &[&str]) -> (i32, String) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonstop"));
    command
        .current_dir(root)
        .env_remove("NONSTOP_INVENTORY")
        .env_remove("NONSTOP_PLAYBOOK")
        .args(["-i", "inventory/example.yml", "-p", "playbooks/sokdak.yml"])
        .args(arguments);
    let output = command.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), said)
}

#[test]
fn a_slot_is_not_forced_without_a_terminal_and_without_yes() {
    let (code, said) = nonstop(&["resume", "--to", "blue"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("nonstop resume --to blue --yes"), "{said}");
}

#[test]
fn a_deadline_that_is_too_short_for_the_way_back_is_refused_with_its_numbers() {
    for command in ["rollback", "resume", "promote", "drill"] {
        let (code, said) = nonstop(&[command, "--deadline", "9s"]);
        assert_eq!(code, 2, "{command}: {said}");
        assert!(
            said.contains("a deadline of 9s is too short"),
            "{command}: {said}"
        );
        assert!(said.contains("stop.grace: "), "{command}: {said}");
    }
}

#[test]
fn a_slot_that_the_playbook_lacks_is_named() {
    let (code, said) = nonstop(&["resume", "--to", "purple", "--yes"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("no slot `purple`"), "{said}");
}

#[test]
fn what_a_person_says_of_a_hook_is_refused_where_it_makes_no_sense() {
    for (arguments, expected) in [
        (["--hook-done", "validate.1"], "no hook's name"),
        (["--hook-again", "before_stop.1@a b"], "host name"),
        (
            ["--hook-done", "before_stop.1"],
            "the playbook has no hook `before_stop.1`",
        ),
    ] {
        let (code, said) = nonstop(&["resume", arguments[0], arguments[1]]);
        assert_eq!(code, 2, "{said}");
        assert!(said.contains(expected), "{said}");
    }
    let both = ["--hook-done", "before_stop.1", "--hook-again", "before_stop.1"];
    let playbook = ["-p", "examples/hooks/playbook.yml", "resume"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_nonstop"));
    let inventory = ["-i", "inventory/example.yml"];
    let output = command
        .current_dir(root)
        .args(inventory)
        .args(playbook)
        .args(both)
        .output();
    let said = String::from_utf8(output.unwrap().stderr).unwrap();
    assert!(said.contains("cannot count as done and run again"), "{said}");
}

#[test]
fn every_command_that_leaves_hosts_out_names_those_that_it_knows() {
    for command in ["deploy", "plan", "rollback", "resume", "status", "doctor"] {
        let (code, said) = nonstop(&[command, "--without", "was-9"]);
        assert_eq!(code, 2, "{command}: {said}");
        assert!(said.contains("only "), "{command}: {said}");
    }
}

#[test]
fn the_readme_lists_every_command() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let (_, table) = readme.split_once("## Commands").unwrap();
    let table = table.split("\n## ").next().unwrap();
    let (_, help) = nonstop(&["--help"]);
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help");
    let missing: Vec<_> = commands
        .filter(|command| !table.contains(&format!("`{command}")))
        .collect();
    assert!(missing.is_empty(), "not in the README's table: {missing:?}");
}

/// Every call of nonstop that a text shows: between backticks, or as a line of a block or a step of a pipeline.
fn calls(text: &str) -> Vec<String> {
    let mut pieces: Vec<&str> = Vec::new();
    for (index, part) in text.split("```").enumerate() {
        match index % 2 {
            0 => pieces.extend(part.split('`').skip(1).step_by(2)),
            _ => pieces.extend(part.lines()),
        }
    }
    pieces.extend(
        text.split('\'')
            .skip(1)
            .filter(|piece| piece.starts_with("exec ")),
    );
    let calls = pieces.into_iter().filter_map(|piece| {
        let piece = piece.trim_start();
        let call = piece
            .strip_prefix("exec ")
            .unwrap_or(piece)
            .strip_prefix("nonstop ")?;
        // What follows is a comment, another command, or the end of a quotation.
        call.split(['#', '|', '\'', '…', ';']).next().map(str::to_owned)
    });
    calls
        .filter(|call| call.starts_with(|c: char| c.is_ascii_lowercase()) && !call.starts_with("demo-app"))
        .collect()
}

#[test]
fn every_command_and_option_that_the_documents_show_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("README.md"), root.join("examples/jenkins/Jenkinsfile")];
    let docs = std::fs::read_dir(root.join("docs")).unwrap();
    files.extend(
        docs.map(|entry| entry.unwrap().path())
            .filter(|path| path.is_file()),
    );
    let mut seen = 0;
    for file in files {
        for call in calls(&std::fs::read_to_string(&file).unwrap()) {
            let mut words = call.split_whitespace();
            let command = words.next().unwrap();
            let (code, help) = nonstop(&[command, "--help"]);
            assert_eq!(code, 0, "{}: nonstop {call}", file.display());
            for word in words.filter(|word| word.starts_with("--")) {
                let option: String = word
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || *c == '-')
                    .collect();
                let is_there = help.split([' ', ',', '\n']).any(|word| word == option);
                assert!(is_there, "{}: nonstop {call}: no {option}", file.display());
            }
            seen += 1;
        }
    }
    assert!(
        seen > 60,
        "only {seen} calls were found: the test looks in the wrong place"
    );
}

/// A folder in which `init` writes.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nonstop"));
        command
            .current_dir(&self.0)
            .env_remove("NONSTOP_INVENTORY")
            .env_remove("NONSTOP_PLAYBOOK")
            .args(arguments);
        ended(&command.output().unwrap())
    }

    /// The same on a terminal, with these lines typed into it.
    fn types(&self, arguments: &str, lines: &str) -> (i32, String) {
        let line = format!("{} {arguments}", env!("CARGO_BIN_EXE_nonstop"));
        let mut script = Command::new("script");
        script
            .current_dir(&self.0)
            .env_remove("NONSTOP_INVENTORY")
            .env_remove("NONSTOP_PLAYBOOK")
            .args(["-qec", &line, "/dev/null"])
            .write_stdin(lines);
        ended(&script.output().unwrap())
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(&self.0).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.path().join(name)).unwrap()
    }
}

fn ended(output: &std::process::Output) -> (i32, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap(),
        text(&output.stderr) + &text(&output.stdout),
    )
}

/// The styles that `init` offers, and its names for the two old systems.
fn styles() -> Vec<String> {
    let (code, said) = Folder::new().run(&["init"]);
    assert_eq!(code, 2, "{said}");
    let (_, styles) = said.split_once("--style ").unwrap();
    let styles = styles.split([',', ' ']).next().unwrap();
    styles
        .split('|')
        .chain(["seed1", "seed2"])
        .map(str::to_owned)
        .collect()
}

#[test]
fn what_init_writes_passes_the_check() {
    let others: &[&str] = &[
        "--app=shop",
        "--was=on,10.0.0.4,web_3",
        "--nginx=7a,fe80::1",
        "--user=corp\\kim",
        "--ports=9001,9000",
        "--artifact=*: [{#}] & \"a\".jar",
        "--server-name=*.shop.example",
    ];
    let styles = styles();
    assert!(styles.len() > 2, "{styles:?}");
    for style in &styles {
        for (given, hosts) in [
            (&[] as &[&str], ", behind 1 nginx host"),
            (others, "3 WAS hosts, behind 2"),
        ] {
            let folder = Folder::new();
            let (code, said) = folder.run(&[&["init", "--style", style], given].concat());
            assert_eq!(code, 0, "{style}: {said}");
            assert_eq!(folder.files(), ["inventory.yml", "playbook.yml"]);
            let (code, said) = folder.run(&["check"]);
            assert_eq!(code, 0, "{style}: {said}");
            assert!(said.contains(hosts), "{style}: {said}");
            let all = folder.read("inventory.yml") + &folder.read("playbook.yml");
            assert!(!all.contains('<'), "a place was not filled: {all}");
        }
    }
}

#[test]
fn the_unit_of_systemd_that_init_writes_as_a_comment_may_take_the_place_of_java() {
    for style in ["site", "include"] {
        let folder = Folder::new();
        let (code, said) = folder.run(&["init", "--style", style, "--app", "shop"]);
        assert_eq!(code, 0, "{said}");
        let text = folder.read("playbook.yml");
        let (before, rest) = text.split_once("  #systemd:").unwrap();
        let (unit, rest) = rest.split_once('\n').unwrap();
        let (_, after) = rest.split_once("\n\n").unwrap();
        let with_unit = format!("{before}  systemd:{unit}\n\n{after}");
        std::fs::write(folder.0.path().join("playbook.yml"), &with_unit).unwrap();
        let (code, said) = folder.run(&["check"]);
        assert_eq!(code, 0, "{with_unit}\n{said}");
        assert!(with_unit.contains("shop@{{ slot.port }}.service"), "{with_unit}");
    }
}

#[test]
fn init_writes_over_no_file() {
    for there in ["inventory.yml", "playbook.yml"] {
        let folder = Folder::new();
        std::fs::write(folder.0.path().join(there), "mine").unwrap();
        let (code, said) = folder.run(&["init", "--style", "site"]);
        assert_eq!(code, 4, "{said}");
        assert!(said.contains(&format!("{there} is there already")), "{said}");
        assert_eq!(
            (folder.files(), folder.read(there)),
            (vec![there.to_owned()], "mine".to_owned())
        );
        let (code, said) = folder.run(&["init", "--style", "site", "-i", "new-i.yml", "-p", "new-p.yml"]);
        assert_eq!((code, folder.files().len()), (0, 3), "{said}");
    }
}

#[test]
fn init_asks_on_a_terminal_until_the_answer_can_be_used() {
    let folder = Folder::new();
    let typed = "rolling\nconf_per_slot\nbad name\nshop\nweb-1,web-1\nweb-1, web-2\n\n\n8080\n\n\n\n";
    let (code, said) = folder.types("init --ports 7001,7002", typed);
    assert_eq!(code, 0, "{said}");
    for complaint in [
        "application name `bad name`",
        "names a host twice",
        "takes two different ports",
    ] {
        assert!(said.contains(complaint), "`{complaint}` is not in {said}");
    }
    let (inventory, playbook) = (folder.read("inventory.yml"), folder.read("playbook.yml"));
    assert!(
        inventory.contains("web-2:") && inventory.contains("nginx-1:"),
        "{inventory}"
    );
    assert!(
        playbook.contains("~/zero-down-confs/shop-7001.conf"),
        "{playbook}"
    );
    assert!(playbook.contains("server_name: shop.example"), "{playbook}");

    let folder = Folder::new();
    let (code, said) = folder.types("init", "site\nshop\n");
    assert_eq!((code, folder.files().len()), (2, 0), "{said}");
    assert!(said.contains("nothing was written"), "{said}");
}

#[test]
fn init_refuses_what_no_file_could_hold() {
    let folder = Folder::new();
    for bad in [
        "--was=was-1,was-1",
        "--was=,",
        "--ports=80,80",
        "--ports=0,1",
        "--app=a/b",
        "--server-name=a;b",
    ] {
        let (code, said) = folder.run(&["init", "--style", "site", bad]);
        assert!([2, 3].contains(&code), "{bad}: {said}");
        assert_eq!(folder.files(), [""; 0], "{bad}");
    }
}

#[test]
fn a_plan_takes_only_what_it_heeds() {
    for option in [
        "--deadline=5m",
        "--junit=x.xml",
        "--events=x",
        "--lock-wait=1m",
        "--probe=http://x/",
    ] {
        let (code, said) = nonstop(&["plan", option]);
        assert_eq!(code, 2, "{option}: {said}");
        assert!(said.contains("unexpected argument"), "{option}: {said}");
    }
}

#[test]
fn a_report_that_cannot_be_written_is_named_as_it_was_given() {
    let file = tempfile::NamedTempFile::with_suffix(".jar").unwrap();
    std::fs::write(file.path(), "PK").unwrap();
    let jar = file.path().to_str().unwrap();
    let (code, said) = nonstop(&["deploy", "--jar", jar, "--junit", "/nope/report.xml"]);
    assert_eq!(code, 4, "{said}");
    assert!(
        said.contains("cannot write /nope/report.xml: No such file or directory"),
        "{said}"
    );
    assert!(!said.contains(".nonstop-"), "{said}");
}

#[test]
fn what_a_refused_deploy_advises_has_the_files_that_were_given_by_hand() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let host = "{ ansible_host: 127.0.0.1, ansible_port: 1, ansible_user: nobody }";
    let inventory = format!(
        "all: {{ children: {{ was: {{ hosts: {{ w1: {host} }} }}, nginx: {{ hosts: {{ n1: {host} }} }} }} }}\n"
    );
    std::fs::write(path("hosts.yml"), inventory).unwrap();
    let playbook = "app: a\nartifact: a.jar\nslots: { blue: { group: was, port: 8080 }, green: { group: was, port: 8081 } }\n\
                    release: { dir: /srv/a }\nstart: { java: {} }\nhealth: { path: / }\n\
                    nginx: { group: nginx, site: { file: /etc/nginx/conf.d/a.conf, listen: 80 } }\n";
    std::fs::write(path("b g.yml"), playbook).unwrap();
    std::fs::write(path("a.jar"), "PK").unwrap();
    let run = |by_hand: bool| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_nonstop"));
        command.current_dir(folder.path()).env_remove("NONSTOP_INVENTORY");
        command.args(["deploy", "--ssh-config", "none"]);
        if by_hand {
            command.args(["-i", "hosts.yml", "-p", "b g.yml"]);
        } else {
            command
                .env("NONSTOP_INVENTORY", "hosts.yml")
                .env("NONSTOP_PLAYBOOK", "b g.yml");
        }
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(4));
        String::from_utf8(output.stderr).unwrap()
    };
    let said = run(true);
    assert!(
        said.contains("  nonstop deploy -i hosts.yml -p 'b g.yml'  once"),
        "{said}"
    );
    let said = run(false);
    assert!(said.contains("  nonstop deploy  once"), "{said}");
}
