//! `nginx`: the group, the style in which a routing is written down, reload and proof.

use std::path::Path;
use std::sync::Arc;

use crate::model::names::SlotName;
use crate::model::playbook::{ConfPerSlot, Nginx, Proof, ReloadWay, Site, SiteTemplate, SwitchStyle, Tls};
use crate::model::template::Template;

use super::super::fields::{Fields, Item, Read};
use super::super::report::Problem;
use super::super::source::Source;
use super::super::{rules, suggest, values};
use super::include;

/// The largest template of a site.
const MAX_TEMPLATE_BYTES: u64 = 1 << 20;

/// The switch of nginx.
pub(super) fn read(item: &Item<'_>, slots: Option<&[SlotName]>, source: &Arc<Source>) -> Option<Nginx> {
    let mut fields = Fields::of(item)?;
    let group = fields.require("group", values::name);
    let style = style(&mut fields, item, slots, source);
    let reload = fields.read_or("reload", ReloadWay::Auto, |item| {
        let words = [
            ("auto", ReloadWay::Auto),
            ("signal", ReloadWay::Signal),
            ("systemctl", ReloadWay::Systemctl),
        ];
        values::choice(item, &words)
    });
    let proof = fields.item("proof").and_then(|item| proof(&item));
    let default = Template::new("nginx").ok();
    let binary = fields
        .read("binary", |item| values::ruled_template(item, rules::program))
        .or(default);
    let main = fields.read("conf", |item| values::ruled_template(item, rules::remote_path));
    fields.finish();
    Some(Nginx {
        group: group?,
        style: style?,
        reload,
        proof,
        binary: binary?,
        conf: main,
    })
}

/// The one style that is written.
fn style<'n>(
    fields: &mut Fields<'n>,
    item: &Item<'n>,
    slots: Option<&[SlotName]>,
    source: &Arc<Source>,
) -> Option<SwitchStyle> {
    let written = ["site", "conf_per_slot", "include"].map(|key| fields.item(key));
    let [site_item, conf_item, include_item] = &written;
    let site = site_item.as_ref().and_then(|item| site(item, source));
    let conf = conf_item.as_ref().and_then(|item| conf_per_slot(item, slots));
    let include = include_item.as_ref().and_then(include::read);
    match written.iter().flatten().collect::<Vec<_>>().as_slice() {
        [] => {
            let message = "`nginx` lacks `site`, `conf_per_slot` or `include`";
            item.note(Problem::at(fields.spot(), message));
        }
        [_] => {}
        [_, second, ..] => {
            let message = "`nginx` takes one of `site`, `conf_per_slot` and `include`, and these are several";
            item.note(Problem::at(&second.key, message));
            return None;
        }
    }
    let site = site.map(SwitchStyle::Site);
    let own = conf.map(SwitchStyle::ConfPerSlot);
    site.or(own).or(include.map(SwitchStyle::Include))
}

fn site(item: &Item<'_>, source: &Arc<Source>) -> Option<Site> {
    let mut fields = Fields::of(item)?;
    let file = fields.require("file", |item| values::ruled_template(item, rules::remote_path));
    let server_name = fields.read_or("server_name", Vec::new(), server_names);
    let listen = fields.require("listen", |item| values::ruled_template(item, rules::listen));
    let tls_item = fields.item("tls");
    let tls_value = tls_item.as_ref().and_then(|item| tls(item));
    let template = fields.read("template", |item| template(item, source));
    let size = fields.read("client_max_body_size", |item| values::ruled(item, rules::size));
    fields.finish();
    Some(Site {
        file: file?,
        server_name,
        listen: listen?,
        tls: tls_value,
        template,
        client_max_body_size: size,
    })
}

/// One name, several separated by spaces as nginx has them, or a list.
fn server_names(item: &Item<'_>) -> Read<Vec<String>> {
    let several = values::list(item, |item| {
        let text = values::text(item)?;
        for name in text.split(' ').filter(|name| !name.is_empty()) {
            rules::server_name(name).map_err(|reason| item.problem(format!("`server_name` {reason}")))?;
        }
        Ok(text)
    })?;
    let names = several.iter().flat_map(|text| text.split(' '));
    Ok(names.filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn tls(item: &Item<'_>) -> Option<Tls> {
    let mut fields = Fields::of(item)?;
    let certificate = fields.require("certificate", values::name);
    let key = fields.require("key", values::name);
    fields.finish();
    Some(Tls {
        certificate: certificate?,
        key: key?,
    })
}

fn template(item: &Item<'_>, source: &Arc<Source>) -> Read<SiteTemplate> {
    let text = values::text(item)?;
    let path = source.folder().join(Path::new(&text));
    let unreadable =
        |reason: String| item.problem(format!("cannot read the template `{}`: {reason}", path.display()));
    let size = std::fs::metadata(&path)
        .map_err(|error| unreadable(error.to_string()))?
        .len();
    if size > MAX_TEMPLATE_BYTES {
        return Err(unreadable("it is larger than 1 MiB".to_owned()));
    }
    let content = std::fs::read_to_string(&path).map_err(|error| unreadable(error.to_string()))?;
    let text = Template::new(content.clone()).map_err(|error| {
        let file = Source::new(path.display().to_string(), content);
        let line = error.line.unwrap_or(1);
        let length = file.line(line).chars().count().max(1);
        Problem::at(&file.spot(line, 1, length), error.reason)
    })?;
    Ok(SiteTemplate { path, text })
}

fn conf_per_slot(item: &Item<'_>, slots: Option<&[SlotName]>) -> Option<ConfPerSlot> {
    let mut fields = Fields::of(item)?;
    let file = fields.require("file", |item| values::ruled_template(item, rules::remote_path));
    let listen = fields.require("listen", |item| values::ruled_template(item, rules::listen));
    let server_name = fields.read("server_name", |item| values::ruled(item, rules::server_name));
    let files = fields
        .require_item("slots")
        .and_then(|item| slot_files(&item, slots));
    fields.finish();
    let (file, files) = (file?, files?);
    if let Some((name, _)) = files.iter().find(|(_, own)| **own == file) {
        let spot = item.place(&format!("slots.{name}"));
        let message = format!(
            "the file of `{name}` is the very file that is replaced: {}",
            file.as_str()
        );
        item.note(Problem::at(&spot, message).hint("keep the files of the slots in another folder"));
    }
    Some(ConfPerSlot {
        file,
        slots: files,
        listen: listen?,
        server_name,
    })
}

fn slot_files(
    item: &Item<'_>,
    slots: Option<&[SlotName]>,
) -> Option<std::collections::BTreeMap<SlotName, Template>> {
    let fields = Fields::of(item)?;
    let mut files = std::collections::BTreeMap::new();
    for (name, item) in fields.items() {
        let file = fields.keep(values::ruled_template(&item, rules::remote_path));
        match (SlotName::new(name.clone()), slots) {
            (Err(error), _) => fields.note(Problem::at(&item.key, error.to_string())),
            (Ok(slot), Some(slots)) if !slots.contains(&slot) => {
                let hint = suggest::did_you_mean(&name, slots.iter().map(SlotName::as_str));
                fields.note(Problem::at(&item.key, format!("there is no slot `{name}`")).maybe_hint(hint));
            }
            (Ok(slot), _) => files.extend(file.map(|file| (slot, file))),
        }
    }
    let written: Vec<String> = fields.items().into_iter().map(|(name, _)| name).collect();
    for slot in slots.into_iter().flatten() {
        if !written.iter().any(|name| name == slot.as_str()) {
            fields.note(Problem::at(
                &item.key,
                format!("`{}` lacks the file of slot `{slot}`", item.path),
            ));
        }
    }
    Some(files)
}

fn proof(item: &Item<'_>) -> Option<Proof> {
    let mut fields = Fields::of(item)?;
    let url = fields.require("url", |item| values::ruled(item, rules::proof_url));
    let expect = fields.require("expect", values::template);
    fields.finish();
    Some(Proof {
        url: url?,
        expect: expect?,
    })
}
