//! The conformance kit: it holds the references to their contracts, and it catches what is broken.

mod broken_backends;
mod broken_stores;
mod desk;
mod harnesses;
mod lists;
mod references;
mod source;
