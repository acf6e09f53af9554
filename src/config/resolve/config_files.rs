//! The files that the application's own options tell it to read at its start: Spring Boot's
//! `spring.config.location` and `spring.config.additional-location`.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::context;
use crate::model::inventory::Vars;
use crate::model::names::{Port, ReleaseId, RemotePath, SlotName};
use crate::model::playbook::{Runner, Slot};
use crate::model::template::Template;

use super::Resolver;
use super::samples::facts;

const OPTIONS: [&str; 4] = [
    "-Dspring.config.location=",
    "-Dspring.config.additional-location=",
    "--spring.config.location=",
    "--spring.config.additional-location=",
];

impl Resolver<'_> {
    /// The files of each slot on one host, those of the release itself left out: they come with it. What
    /// cannot be rendered is told elsewhere.
    pub(super) fn config_files(
        &self,
        vars: &Vars,
        release_dir: &RemotePath,
        ports: &BTreeMap<SlotName, Port>,
    ) -> BTreeMap<SlotName, BTreeSet<RemotePath>> {
        let playbook = &self.playbook.playbook;
        let Runner::Java(java) = &playbook.start else {
            return BTreeMap::new();
        };
        let of_slot = |slot: &Slot| {
            let id = ReleaseId::new("20260102T030405Z-sample-1.0.0").ok()?;
            let dir = release_dir.join(&format!("releases/{id}")).ok()?;
            let jar = dir.join("app.jar").ok()?;
            let port = *ports.get(&slot.name)?;
            let context = context::instance(vars, slot, port, &facts(&id, &dir, &jar));
            let texts = java.opts.iter().chain(&java.args);
            let texts = texts.filter_map(|text: &Template| text.render(&context).ok());
            let mut files: BTreeSet<_> = texts.flat_map(|text| named(&text)).collect();
            files.retain(|file| !file.as_str().starts_with(dir.as_str()));
            Some((slot.name.clone(), files))
        };
        let files = playbook.slots.iter().filter_map(of_slot);
        files.filter(|(_, files)| !files.is_empty()).collect()
    }
}

/// The files and folders that an option names, as far as they must be there and their place is certain:
/// not in the jar, not `optional:`, not a pattern, not relative to wherever the process runs.
fn named(option: &str) -> Vec<RemotePath> {
    let locations = OPTIONS.iter().find_map(|name| option.strip_prefix(name));
    let locations = locations.unwrap_or_default().split([',', ';']);
    let path = |location: &str| {
        let location = location.trim();
        let path = location.strip_prefix("file:").unwrap_or(location);
        let path = path.strip_prefix("//").unwrap_or(path);
        let path = path.split('[').next().unwrap_or(path);
        let path = if path.len() > 1 {
            path.trim_end_matches('/')
        } else {
            path
        };
        let is_certain = path.starts_with('/') && !path.contains(['*', '$']);
        RemotePath::new(path).ok().filter(|_| is_certain)
    };
    locations.filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_must_be_there_are_told_from_those_in_the_jar_and_optional_ones() {
        let option = "-Dspring.config.location=classpath:/application.properties,\
                      /home/ec2-user/app/application-oauth.properties, file:/etc/app/;optional:/etc/none.yml,\
                      optional:file:/x,file:///srv/db.yml[.yml],config/*/,/etc/*/x,/etc/${HOST}.yml";
        let found: Vec<_> = named(option).iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "/home/ec2-user/app/application-oauth.properties",
                "/etc/app",
                "/srv/db.yml"
            ]
        );
        assert!(named("-Dserver.port=8080").is_empty());
        assert_eq!(named("--spring.config.additional-location=/etc/a.yml").len(), 1);
    }
}
