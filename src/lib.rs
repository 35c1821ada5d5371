//! firedrill
pub mod cli;
pub mod demo;
pub mod fault;
pub mod judge;
pub mod load;
pub mod model;
pub mod observe;
pub mod report;
pub mod restore;
pub mod run;
pub mod scenario;
pub mod stack;
pub mod timeline;
pub mod tui;
