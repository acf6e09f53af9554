//! `nginx.include`: the file that sets a variable of the user's own server.

use crate::model::playbook::Include;

use super::super::fields::{Fields, Item};
use super::super::report::Problem;
use super::super::{rules, values};

/// The variable that such files set since scripts wrote them.
const VARIABLE: &str = "service_url";

/// The style `include`.
pub(super) fn read(item: &Item<'_>) -> Option<Include> {
    let mut fields = Fields::of(item)?;
    let file = fields.require("file", |item| values::ruled_template(item, rules::remote_path));
    let variable = fields.read_or("variable", VARIABLE.to_owned(), |item| {
        values::ruled(item, rules::nginx_variable)
    });
    let upstream_file = fields.read("upstream_file", |item| {
        values::ruled_template(item, rules::remote_path)
    });
    let listen = fields.require("listen", |item| values::ruled_template(item, rules::listen));
    let server_name = fields.read("server_name", |item| values::ruled(item, rules::server_name));
    fields.finish();
    let file = file?;
    if upstream_file.as_ref() == Some(&file) {
        let spot = item.place("upstream_file");
        let message = format!(
            "the upstreams cannot lie in the file that names them: {}",
            file.as_str()
        );
        item.note(Problem::at(&spot, message).hint("name a file that nginx reads in its `http` block"));
    }
    Some(Include {
        file,
        variable,
        upstream_file,
        listen: listen?,
        server_name,
    })
}
