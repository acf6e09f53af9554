//! stub
use super::output::Palette;
/// stub
pub fn render(
    _: &crate::model::plan::Plan,
    _: &crate::model::topology::Topology,
    _: &crate::model::observed::Observed,
    _: Palette,
) -> String {
    String::new()
}
