//! What reaches a driver, from the API, from calls and from tasks.

mod mailbox;
mod message;

pub(crate) use mailbox::{Mailbox, Reader};
pub(crate) use message::{Message, PlanRead};
