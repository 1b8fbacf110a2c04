use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flyte_core::{Error, ErrorKind, Result};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_postgres::Row;

use super::bells::Bells;
use super::connection::{Connection, Last, Pg, Values};
use super::error::{Doubt, classify, silent};
use super::options::PostgresOptions;
use super::target::Target;

/// A few connections, and the thread that moves their bytes.
///
/// The thread is the pool's own, so that connections outlive the runtime of whoever asked first.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) options: PostgresOptions,
    pub(super) bells: Arc<Bells>,
    target: Target,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    runtime: Handle,
    /// Dropped with the pool, which ends the thread.
    _open: oneshot::Sender<()>,
}

impl Pool {
    pub(super) fn new(options: PostgresOptions) -> Result<Arc<Self>> {
        options.check()?;
        let target = Target::new(&options)?;
        let (open, closed) = oneshot::channel::<()>();
        let no_thread = |e| Error::new(ErrorKind::Other, "open", format!("no thread: {e}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(no_thread)?;
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("flyte-postgres".into())
            .spawn(move || {
                let _closed = runtime.block_on(closed);
                // A name that is being looked up must not hold the thread.
                runtime.shutdown_background();
            })
            .map_err(no_thread)?;
        Ok(Arc::new(Self {
            permits: Arc::new(Semaphore::new(options.connections as usize)),
            bells: Arc::default(),
            idle: Mutex::default(),
            runtime: handle,
            target,
            options,
            _open: open,
        }))
    }

    /// Begins to listen; returns when it does.
    pub(super) async fn listen(&self) -> Result<()> {
        let (bells, target, options) = (&self.bells, &self.target, &self.options);
        let (ready, is_ready) = oneshot::channel();
        let listen = bells.clone().listen(target.clone(), options.clone(), ready);
        self.runtime.spawn(listen);
        is_ready.await.map_err(|_| closed("listen"))?
    }

    /// Where a host, a database and a schema are; no password.
    pub(super) fn location(&self) -> String {
        use tokio_postgres::config::Host;
        let host = match self.target.config.get_hosts().first() {
            Some(Host::Tcp(name)) => name.clone(),
            #[cfg(unix)]
            Some(Host::Unix(path)) => path.display().to_string(),
            _ => "localhost".into(),
        };
        let port = self
            .target
            .config
            .get_ports()
            .first()
            .copied()
            .unwrap_or(5432);
        let database = self.target.config.get_dbname().unwrap_or_default();
        format!(
            "postgres://{host}:{port}/{database}, schema {}",
            self.options.schema
        )
    }

    /// A timer that needs no runtime of the caller's.
    pub(super) fn sleep(&self, d: Duration) -> tokio::time::Sleep {
        let _entered = self.runtime.enter();
        tokio::time::sleep(d)
    }

    /// Runs something to its end on the pool's thread, whoever may be gone.
    pub(super) fn spawn(&self, f: impl Future<Output = ()> + Send + 'static) {
        self.runtime.spawn(f);
    }

    /// A connection, for the calls of one operation.
    pub(super) async fn take(self: &Arc<Self>, operation: &'static str) -> Result<Session> {
        let permit = tokio::select! {
            permit = self.permits.clone().acquire_owned() => permit.map_err(|_| closed(operation))?,
            () = self.sleep(self.options.call_timeout()) => {
                let text = "all connections are busy for long; give the store more of them";
                return Err(Error::new(ErrorKind::Unavailable, operation, text));
            }
        };
        let kept = {
            let mut idle = self.lock();
            idle.retain(|c| !c.is_closed());
            idle.pop()
        };
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let (target, options) = (self.target.clone(), self.options.clone());
                let open = async move { Connection::open(&target, &options, None).await };
                let opened = self
                    .runtime
                    .spawn(open)
                    .await
                    .map_err(|_| closed(operation))?;
                opened?.0
            }
        };
        Ok(Session {
            pool: self.clone(),
            operation,
            connection: Some(connection),
            permit: Some(permit),
            begun: false,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Connection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed(operation: &'static str) -> Error {
    Error::new(ErrorKind::Unavailable, operation, "the store was closed")
}

/// A connection on loan. Dropped inside of a transaction it undoes it, and then goes back.
#[derive(Debug)]
pub(super) struct Session {
    pool: Arc<Pool>,
    operation: &'static str,
    /// `None` once it is given up.
    connection: Option<Connection>,
    permit: Option<OwnedSemaphorePermit>,
    /// Whether a transaction was begun and its end was not heard.
    begun: bool,
}

/// What begins a transaction that sees one moment.
pub(super) const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

impl Session {
    /// A question, or a statement of a transaction that goes on.
    pub(super) async fn query(
        &mut self,
        text: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>> {
        self.ask(Doubt::None, async |c| c.query(text, values).await)
            .await
    }

    /// A statement that is a whole transaction.
    pub(super) async fn change(
        &mut self,
        text: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>> {
        self.ask(Doubt::Effect, async |c| c.query(text, values).await)
            .await
    }

    /// Begins a transaction, with its first statement.
    pub(super) async fn begin(
        &mut self,
        text: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>> {
        self.begin_as("BEGIN", text, values).await
    }

    /// The same, of another kind.
    pub(super) async fn begin_as(
        &mut self,
        how: &'static str,
        text: &'static str,
        values: Values<'_>,
    ) -> Result<Vec<Row>> {
        self.begun = true;
        self.ask(Doubt::None, async |c| c.begin(how, text, values).await)
            .await
    }

    /// Ends a transaction, with its last statements.
    pub(super) async fn end(&mut self, last: Last<'_>) -> Result<()> {
        self.ask(Doubt::Effect, async |c| c.end(last).await).await?;
        self.begun = false;
        Ok(())
    }

    /// Several statements without values.
    pub(super) async fn batch(&mut self, text: &str) -> Result<()> {
        self.ask(Doubt::None, async |c| c.batch(text).await).await
    }

    async fn ask<T>(
        &mut self,
        doubt: Doubt,
        f: impl AsyncFnOnce(&mut Connection) -> Pg<T>,
    ) -> Result<T> {
        let operation = self.operation;
        let late = self.pool.sleep(self.pool.options.call_timeout());
        let connection = self
            .connection
            .as_mut()
            .ok_or_else(|| silent(operation, Doubt::None))?;
        let answer = tokio::select! {
            answer = f(connection) => Some(answer),
            () = late => None,
        };
        match answer {
            Some(Ok(t)) => Ok(t),
            Some(Err(e)) => Err(classify(operation, doubt, e)),
            None => {
                self.connection = None;
                Err(silent(operation, doubt))
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let (pool, permit) = (self.pool.clone(), self.permit.take());
        if !self.begun {
            pool.lock().push(connection);
            return;
        }
        let undo = async move {
            let late = tokio::time::sleep(pool.options.call_timeout());
            let undone = tokio::select! {
                undone = connection.batch("ROLLBACK") => undone.is_ok(),
                () = late => false,
            };
            if undone {
                pool.lock().push(connection);
            }
            drop(permit);
        };
        self.pool.spawn(undo);
    }
}
