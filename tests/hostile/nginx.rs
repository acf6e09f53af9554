//! What `nginx -T` prints on a hostile host: small files whose includes make billions of directives, loops,
//! patterns that take for ever, and whatever is no configuration at all.

use std::fmt::Write as _;

use nonstop::model::nginx_conf::{Beside, Claim, Dump, NginxConfError};
use proptest::prelude::*;

use crate::cases::cases;

fn print(files: &[(String, String)]) -> String {
    let mut dump = String::new();
    for (path, text) in files {
        let _ = writeln!(dump, "# configuration file {path}:\n{text}");
    }
    dump
}

fn chained(count: usize, line: impl Fn(usize) -> String) -> String {
    let files: Vec<_> = (0..count).map(|at| (format!("/n/{at}"), line(at))).collect();
    print(&files)
}

#[test]
fn includes_that_double_at_every_file_are_refused() {
    let bomb = chained(15, |at| {
        format!("include /n/{0};\ninclude /n/{0};\n", at + 1).repeat(4)
    });
    assert_eq!(Dump::parse(&bomb), Err(NginxConfError::TooManyIncludes));
    // Each file includes all of them.
    let glob = chained(14, |_| "include /n/*;\n".to_owned());
    assert_eq!(Dump::parse(&glob), Err(NginxConfError::TooManyIncludes));
}

#[test]
fn a_long_chain_and_a_circle_of_includes_end() {
    let chain = chained(20_000, |at| format!("include /n/{};", at + 1));
    assert_eq!(Dump::parse(&chain), Err(NginxConfError::TooManyIncludes));
    let circle = chained(3, |at| format!("include /n/{};", (at + 1) % 3));
    assert!(Dump::parse(&circle).is_ok());
    let itself = print(&[("/n/0".to_owned(), "include /n/0;".to_owned())]);
    assert!(Dump::parse(&itself).is_ok());
}

#[test]
fn a_pattern_that_could_match_in_billions_of_ways_takes_no_time() {
    let pattern = format!("/n/{}x/y", "*a".repeat(60));
    let main = ("/n/main".to_owned(), format!("include {pattern};"));
    let path = |at: usize| (format!("/n/{}{at}/z", "a".repeat(200)), String::new());
    let files: Vec<_> = std::iter::once(main).chain((0..500).map(path)).collect();
    assert!(Dump::parse(&print(&files)).is_ok());
    let stars = format!("include /n/{};", "*?".repeat(200_000));
    assert!(Dump::parse(&print(&[("/n/main".to_owned(), stars)])).is_ok());
    let patterns: String = (0..5_000).fold(String::new(), |mut text, at| {
        let _ = writeln!(text, "include /n/*{at}*;");
        text
    });
    let main = ("/n/main".to_owned(), patterns);
    let path = |at: usize| (format!("/n/{at}"), String::new());
    let files: Vec<_> = std::iter::once(main).chain((0..5_000).map(path)).collect();
    assert_eq!(Dump::parse(&print(&files)), Err(NginxConfError::TooManyIncludes));
}

#[test]
fn servers_that_share_a_huge_upstream_are_refused_before_they_fill_the_memory() {
    let hosts: String = (0..20_000).fold(String::new(), |mut text, at| {
        let _ = write!(text, "server h{at};");
        text
    });
    let servers = "server{location /{proxy_pass http://a;}}".repeat(10_000);
    let text = format!("http{{upstream a{{{hosts}}}{servers}}}");
    let dump = print(&[("/n/main".to_owned(), text)]);
    assert_eq!(Dump::parse(&dump), Err(NginxConfError::TooManyTargets));
}

#[test]
fn as_many_servers_as_fit_are_told_apart_in_time() {
    let upstreams: String = (0..10_000).fold(String::new(), |mut text, at| {
        let _ = write!(text, "upstream u{at}{{server b;}}");
        text
    });
    let servers = "server{server_name x;location /{proxy_pass http://b:1;}}".repeat(10_000);
    let dump = print(&[("/n/main".to_owned(), format!("http{{{upstreams}{servers}}}"))]);
    let dump = Dump::parse(&dump).unwrap();
    let claim = Claim {
        entry: "/n/ours",
        takes_over: None,
        server_names: &["x".to_owned()],
        ports: &[80],
        endpoints: &[("b".to_owned(), 1)],
    };
    assert_eq!(dump.routes().len(), 10_000);
    assert!(!dump.strays(&claim).is_empty());
}

#[test]
fn a_large_file_on_the_way_to_an_entry_that_is_included_again_and_again_does_not_fill_the_memory() {
    let main = format!("http{{{}}}", "include /n/a;".repeat(1_000));
    let a = format!("#{}\nserver{{include /n/ours;}}", "x".repeat(500_000));
    let files = [
        ("main", main),
        ("a", a),
        ("ours", "set $x http://b:1;".to_owned()),
    ];
    let dump = print(&files.map(|(name, text)| (format!("/n/{name}"), text)));
    let dump = Dump::parse(&dump).unwrap();
    assert_eq!(
        dump.shadow_within("/n/ours", None),
        Err(NginxConfError::TooManyIncludes)
    );
}

#[test]
fn deep_blocks_and_variables_within_variables_end() {
    let deep = print(&[("/n/main".to_owned(), "a {".repeat(100_000))]);
    assert!(Dump::parse(&deep).is_err());
    let mut text = String::from("http{server{");
    for at in 0..200 {
        let _ = write!(text, "set $v{at} $v{}$v{};", at + 1, at + 1);
        let _ = write!(text, "set $v{at} x$v{};", at + 1);
    }
    text.push_str("location /{proxy_pass http://$v0;proxy_pass $v193$v193$v193;}}}");
    assert!(Dump::parse(&print(&[("/n/main".to_owned(), text)])).is_ok());
}

/// Pieces of configurations.
fn piece() -> impl Strategy<Value = String> {
    let known = [
        "# configuration file /n/a:\n",
        "# configuration file /n/b:\n",
        "http {",
        "server {",
        "upstream u {",
        "location / {",
        "}",
        "listen 80;",
        "listen [::]:99999;",
        "server_name a \"b c\" 'd;",
        "proxy_pass http://u;",
        "proxy_pass http://$x$y/;",
        "set $x ${y};",
        "map $a $y { default 1; }",
        "include /n/*;",
        "include b;",
        "include [;",
        "server 10.0.0.1:1 weight=99999999999;",
        "\\",
        "\"",
        "\n",
        ";",
    ];
    prop_oneof![
        8 => proptest::sample::select(known.to_vec()).prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn nothing_that_nginx_could_print_makes_the_reader_fall_over(pieces in proptest::collection::vec(piece(), 0..40)) {
        let text = format!("# configuration file /n/main:\n{}", pieces.concat());
        if let Ok(dump) = Dump::parse(&text) {
            let _ = dump.shadow("/n/a", Some("/n/b"));
            let _ = dump.shadow_within("/n/a", Some(Beside { path: "/n/b", text: "upstream u {}" }));
            let _ = dump.variable_set_in("/n/a", "x");
            let _ = dump.routes_involving("/n/a");
        }
    }
}
