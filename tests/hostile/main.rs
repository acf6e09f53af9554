//! What a broken or hostile host, file or neighbour can give to the controller: nothing of it makes it
//! fall over, fills its memory, keeps it busy for ever, or reaches a shell, a file or a terminal as more
//! than the text that it is. `NONSTOP_CASES=100` makes every random test try a hundred times as much.

#![expect(
    clippy::unwrap_used,
    reason = "a fixture that cannot be made is a failed test"
)]

// The targets of `fuzz/` ask for libFuzzer's macro by this name.
extern crate self as libfuzzer_sys;

mod answers;
mod cases;
mod files;
mod fuzzed;
mod nginx;
mod records;
mod shown;
mod vocabulary;
