//! stub
use super::output::Palette;
/// stub
#[derive(serde::Serialize)]
pub struct Status;
impl Status {
    /// s
    pub fn read(_: &crate::model::topology::Topology, _: &crate::model::observed::Observed) -> Self {
        Self
    }
    /// s
    pub fn is_mixed(&self) -> bool {
        false
    }
}
/// stub
pub fn render(_: &Status, _: Palette) -> String {
    String::new()
}
