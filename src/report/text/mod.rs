//! The words: one file for each type that people read about. Everything that these functions return
//! is one harmless line (see [`super::harmless`]).

pub mod advice;
pub mod event;
pub mod failure;
pub mod health;
pub mod interrupted;
pub mod leaving;
pub mod note;
pub mod outcome;
pub mod problem;
pub mod token;
pub mod waiting;
