//! `memory`: what must be there for a second instance.

use crate::model::playbook::{Memory, MemoryCheck};

use super::super::fields::{Fields, Item};
use super::super::values;

/// `memory`; a refusal below the live instance's peak and 128 MiB where it is absent.
pub(super) fn memory(item: Option<&Item<'_>>) -> Memory {
    let mut memory = Memory::default();
    if let Some(mut fields) = item.and_then(Fields::of) {
        memory.reserve_bytes = fields.read_or("reserve", memory.reserve_bytes, values::size);
        memory.check = fields.read_or("check", memory.check, |item| {
            let choices = [
                ("refuse", MemoryCheck::Refuse),
                ("warn", MemoryCheck::Warn),
                ("off", MemoryCheck::Off),
            ];
            values::choice(item, &choices)
        });
        fields.finish();
    }
    memory
}
