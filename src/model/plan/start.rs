//! How an instance is started: every template of the playbook rendered for its host and its release.

use std::collections::BTreeMap;

use crate::model::context::{self, ReleaseFacts};
use crate::model::endpoint::Endpoint;
use crate::model::names::{RemotePath, SlotName};
use crate::model::playbook::Runner;
use crate::model::release::Release;
use crate::model::template::{Template, TemplateError};
use crate::model::topology::WasHost;

use super::forward::Scene;
use super::step::{StartRunner, Step};

/// Stands in an argument for the release's jar, whose absolute path only its host knows.
const JAR: &str = "{jar}";

/// How an endpoint of a slot is started with a release, or why that cannot be written down.
pub(super) fn start(
    scene: &Scene<'_>,
    name: &SlotName,
    release: &Release,
    endpoint: &Endpoint,
) -> Result<Step, String> {
    let was = scene
        .topology
        .was
        .get(&endpoint.host)
        .ok_or("it is no WAS host")?;
    let slot = scene.playbook.slot(name).ok_or("the playbook has no such slot")?;
    let place = ReleasePlace::on(was, release)?;
    let facts = place.facts(release);
    let context = context::instance(&was.vars, slot, endpoint.port, &facts);
    let text = |template: &Template| template.render(&context).map_err(|error| error.to_string());
    let texts = |templates: &[Template]| templates.iter().map(text).collect::<Result<Vec<_>, _>>();
    let variables = |env: &BTreeMap<String, Template>| {
        env.iter()
            .map(|(name, value)| Ok((name.clone(), text(value)?)))
            .collect::<Result<_, String>>()
    };
    let (runner, env) = match &scene.playbook.start {
        Runner::Java(java) => {
            let mut argv = vec![text(&java.bin)?];
            argv.extend(texts(&java.opts)?);
            argv.extend(["-jar".to_owned(), JAR.to_owned()]);
            argv.extend(texts(&java.args)?);
            (StartRunner::Process { argv }, variables(&java.env)?)
        }
        Runner::Command(command) => {
            let argv = texts(&command.run)?;
            let chdir = command
                .chdir
                .as_ref()
                .map(|folder| path(folder.render(&context)))
                .transpose()?;
            (StartRunner::Script { argv, chdir }, variables(&command.env)?)
        }
        Runner::Systemd(_) => {
            let unit = was.units.get(name).ok_or("it has no unit for that slot")?.clone();
            (StartRunner::Unit(unit), BTreeMap::new())
        }
    };
    Ok(Step::Start {
        slot: name.clone(),
        port: endpoint.port,
        runner,
        env,
    })
}

/// Where a release lies on one host.
struct ReleasePlace {
    dir: RemotePath,
    jar: RemotePath,
}

impl ReleasePlace {
    fn on(was: &WasHost, release: &Release) -> Result<Self, String> {
        let below = |path: &str| was.release_dir.join(path).map_err(|error| error.to_string());
        let dir = below(&format!("releases/{}", release.id))?;
        let jar = below(&format!("releases/{}/app.jar", release.id))?;
        Ok(Self { dir, jar })
    }

    fn facts<'a>(&'a self, release: &'a Release) -> ReleaseFacts<'a> {
        ReleaseFacts {
            id: &release.id,
            dir: &self.dir,
            jar: &self.jar,
            version: release.version(),
        }
    }
}

fn path(text: Result<String, TemplateError>) -> Result<RemotePath, String> {
    RemotePath::new(text.map_err(|error| error.to_string())?).map_err(|error| error.to_string())
}
