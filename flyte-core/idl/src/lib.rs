#![doc = include_str!("../README.md")]
//!
//! Invariant: nothing here decides; what is wrong with a template is the compiler's to say.
#![deny(missing_docs)]

pub mod convert;
#[cfg(feature = "hash")]
pub mod hash;

#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    unreachable_pub,
    rustdoc::all
)]
mod generated {
    pub mod core {
        include!("generated/flyteidl.core.rs");
    }
    pub mod event {
        include!("generated/flyteidl.event.rs");
    }
    pub mod admin {
        include!("generated/flyteidl.admin.rs");
    }
    pub mod plugins {
        include!("generated/flyteidl.plugins.rs");
        pub mod kubeflow {
            include!("generated/flyteidl.plugins.kubeflow.rs");
        }
    }
}

pub use generated::{admin, core, event, plugins};
pub use prost::Message;
