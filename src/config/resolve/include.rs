//! The style `include` beside the inventory: what a variable of nginx can hold.

use crate::model::endpoint::Endpoint;
use crate::model::playbook::SwitchStyle;
use crate::model::service_url::is_ip;
use crate::model::topology::Topology;

use super::Resolver;

impl Resolver<'_> {
    /// Without upstreams the variable holds one address, and an address is no name.
    pub(super) fn service_url(&mut self, topology: &Topology) {
        let SwitchStyle::Include(include) = &self.playbook.playbook.nginx.style else {
            return;
        };
        if include.upstream_file.is_some() {
            return;
        }
        for slot in &self.playbook.playbook.slots {
            match topology.endpoints(&slot.name).as_slice() {
                [] => {}
                [endpoint] => self.address(topology, endpoint),
                several => {
                    let message = format!(
                        "slot `{}` has {} endpoints, and `${}` holds one address",
                        slot.name,
                        several.len(),
                        include.variable
                    );
                    let hint = "name an `upstream_file` that nginx reads in its `http` block, such as \
                                /etc/nginx/conf.d/upstreams.conf";
                    self.problem("nginx.include", message, Some(hint.to_owned()));
                    return;
                }
            }
        }
    }

    fn address(&mut self, topology: &Topology, endpoint: &Endpoint) {
        let Some(was) = topology
            .was
            .get(&endpoint.host)
            .filter(|was| !is_ip(&was.address))
        else {
            return;
        };
        let host = &endpoint.host;
        let message = format!(
            "nginx would ask a `resolver` for `{}`, the address of `{host}`: behind a variable it takes no name",
            was.address
        );
        let problem = self.playbook.places.problem("nginx.include", message);
        if self
            .report
            .problems
            .iter()
            .any(|known| known.message == problem.message)
        {
            return;
        }
        let hint =
            format!("give `{host}` an IP as its `address`; 127.0.0.1 where nginx runs on the same host");
        self.report.push(problem.hint(hint));
    }
}
