//! The conformance kit: it holds the references to their contracts, and it catches what is broken.

mod broken_backends;
mod broken_stores;
mod harnesses;
mod hosts;
mod lists;
mod log_store;
mod references;
mod scripted;
mod source;
