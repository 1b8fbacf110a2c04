use std::any::type_name;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::contract::{HostResources, TaskContext, TaskError};

/// A value of the host as a parameter of a task: `db: Res<Db>`. It is no input; the host gives it
/// to `Scheduler::builder().resource(..)`.
///
/// Two values of one type need newtypes. A trait object is given by
/// `.resource_as::<dyn Trait>(arc)` and asked for as `Res<dyn Trait>`.
///
/// ```
/// use flyte_core::author::Res;
/// // As a test makes one.
/// let limit: Res<usize> = Res::new(3);
/// assert_eq!(*limit, 3);
/// ```
#[derive(Debug)]
pub struct Res<T: ?Sized>(Arc<T>);

impl<T> Res<T> {
    /// A resource of its own, for tests.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: ?Sized> Res<T> {
    /// The shared value.
    #[must_use]
    pub fn into_inner(self) -> Arc<T> {
        self.0
    }
}

impl<T: ?Sized> From<Arc<T>> for Res<T> {
    fn from(value: Arc<T>) -> Self {
        Self(value)
    }
}

impl<T: ?Sized + Send + Sync + 'static> Res<T> {
    /// The host's, for generated code.
    #[doc(hidden)]
    pub fn of(cx: &TaskContext) -> Result<Self, TaskError> {
        Ok(Self(cx.resource()?))
    }
}

impl<T: ?Sized> Clone for Res<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> Deref for Res<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// That a task declares the resource `R`, by a parameter `Res<R>` or by `resources(R)`.
#[diagnostic::on_unimplemented(
    message = "the task `{Self}` uses the resource `{R}` without declaring it",
    label = "`{R}` is not declared by `{Self}`",
    note = "declare it by a parameter `Res<{R}>`, or by `#[task(resources({R}))]`"
)]
pub trait Needs<R: ?Sized> {}

/// The context of an attempt of the task `T`, as a parameter `cx: Cx<T>`. It is no input.
///
/// It is a [`TaskContext`], and gives resources that the task declares.
pub struct Cx<T> {
    context: TaskContext,
    of: PhantomData<fn() -> T>,
}

impl<T> Cx<T> {
    /// Of this context.
    #[must_use]
    pub fn new(context: TaskContext) -> Self {
        Self {
            context,
            of: PhantomData,
        }
    }

    /// For a test: a fresh execution, blobs in memory, no resources.
    #[must_use]
    pub fn test() -> Self {
        Self::new(TaskContext::test())
    }

    /// A value of the host that the task declares.
    ///
    /// # Errors
    /// `NotFound` if the host gave none of this type.
    pub fn resource<R: ?Sized + Send + Sync + 'static>(&self) -> crate::Result<Arc<R>>
    where
        T: Needs<R>,
    {
        self.context.resource()
    }
}

impl<T> Deref for Cx<T> {
    type Target = TaskContext;

    fn deref(&self) -> &TaskContext {
        &self.context
    }
}

impl<T> fmt::Debug for Cx<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.context.fmt(f)
    }
}

/// A type that the host must give to a task ([`Task::needs`](crate::contract::Task::needs)).
#[derive(Clone, Copy)]
pub struct ResourceNeed {
    name: fn() -> &'static str,
    given: fn(&HostResources) -> bool,
}

impl ResourceNeed {
    /// A value of type `T`.
    #[must_use]
    pub const fn of<T: ?Sized + Send + Sync + 'static>() -> Self {
        Self {
            name: type_name::<T>,
            given: |resources| resources.get::<T>().is_some(),
        }
    }

    /// The type's name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        (self.name)()
    }

    /// Whether the host gave one.
    #[must_use]
    pub fn is_given(&self, resources: &HostResources) -> bool {
        (self.given)(resources)
    }
}

impl fmt::Debug for ResourceNeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
