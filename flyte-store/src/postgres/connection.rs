use std::collections::HashMap;
use std::time::Duration;

use flyte_core::Result;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::types::ToSql;
use tokio_postgres::{AsyncMessage, Client, Config, NoTls, Row, Statement};

use super::error::{Doubt, classify};
use super::options::PostgresOptions;
use super::target::Target;

/// Values of a statement.
pub(super) type Values<'a> = &'a [&'a (dyn ToSql + Sync)];

/// One connection, with the statements that it has prepared.
#[derive(Debug)]
pub(super) struct Connection {
    client: Client,
    statements: HashMap<&'static str, Statement>,
}

/// The last statements of a transaction, a handful.
pub(super) type Last<'a> = &'a [(&'static str, Values<'a>)];

/// What the database says without being asked.
pub(super) type Hear = Box<dyn FnMut(tokio_postgres::Notification) + Send>;

/// The address and the bounds of every connection.
pub(super) fn config(options: &PostgresOptions, url: &str) -> Result<Config> {
    let mut config: Config = url
        .parse()
        // The url has a password, and its error might show it.
        .map_err(|_| {
            let text =
                "the url is not one of Postgres: postgres://USER:PASSWORD@HOST:PORT/DATABASE";
            flyte_core::Error::new(flyte_core::ErrorKind::Invalid, "open", text)
        })?;
    config
        .connect_timeout(options.connect_timeout)
        .tcp_user_timeout(options.call_timeout())
        .keepalives_idle(Duration::from_secs(10))
        .keepalives_interval(Duration::from_secs(5))
        .keepalives_retries(3);
    if config.get_application_name().is_none() {
        config.application_name("flyte");
    }
    Ok(config)
}

impl Connection {
    /// Connects, and leaves a task that moves its bytes; must be called on the store's runtime.
    pub(super) async fn open(
        target: &Target,
        options: &PostgresOptions,
        hear: Option<Hear>,
    ) -> Result<(Self, tokio::task::JoinHandle<()>)> {
        let fail = |e| classify("connect", Doubt::None, e);
        let (client, moves) = Self::connect(target, hear).await.map_err(fail)?;
        let ms = |d: Duration| d.as_millis();
        client
            .batch_execute(&format!(
                "SET search_path TO \"{}\";
                 SET statement_timeout = {};
                 SET lock_timeout = {};
                 SET idle_in_transaction_session_timeout = {};
                 SET default_transaction_isolation = 'read committed';
                 SET client_min_messages = warning;
                 SELECT set_config('synchronous_commit', 'on', false)
                     WHERE current_setting('synchronous_commit') = 'off'",
                options.schema,
                ms(options.statement_timeout),
                ms(options.lock_timeout),
                ms(options.idle_timeout()),
            ))
            .await
            .map_err(fail)?;
        let statements = HashMap::new();
        Ok((Self { client, statements }, moves))
    }

    async fn connect(
        target: &Target,
        hear: Option<Hear>,
    ) -> Pg<(Client, tokio::task::JoinHandle<()>)> {
        #[cfg(feature = "postgres-tls")]
        if let Some(tls) = &target.tls {
            let (client, connection) = target.config.connect(tls.clone()).await?;
            return Ok((client, tokio::spawn(move_bytes(connection, hear))));
        }
        let (client, connection) = target.config.connect(NoTls).await?;
        Ok((client, tokio::spawn(move_bytes(connection, hear))))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    pub(super) async fn prepare(&mut self, text: &'static str) -> Pg<Statement> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(text).await?;
        self.statements.insert(text, statement.clone());
        Ok(statement)
    }

    pub(super) async fn query(&mut self, text: &'static str, values: Values<'_>) -> Pg<Vec<Row>> {
        let statement = self.prepare(text).await?;
        self.client.query(&statement, values).await
    }

    /// Begins a transaction and asks its first question in one journey.
    pub(super) async fn begin(
        &mut self,
        how: &str,
        text: &'static str,
        values: Values<'_>,
    ) -> Pg<Vec<Row>> {
        let statement = self.prepare(text).await?;
        let begin = self.client.batch_execute(how);
        let query = self.client.query(&statement, values);
        // Sent in this order, since this is how they are polled.
        let ((), rows) = futures::future::try_join(begin, query).await?;
        Ok(rows)
    }

    /// Runs the last statements of a transaction and its end in one journey. If one of them
    /// fails, so does the end.
    pub(super) async fn end(&mut self, last: Last<'_>) -> Pg<()> {
        let mut prepared = Vec::with_capacity(last.len());
        for (text, _) in last {
            prepared.push(self.prepare(text).await?);
        }
        let client = &self.client;
        let all = prepared.iter().zip(last).map(|(statement, last)| {
            let values = last.1;
            async move { client.execute(statement, values).await.map(drop) }
        });
        // Polled, and so sent, one after the other: a handful is not polled in another order.
        let all = futures::future::try_join_all(all);
        futures::future::try_join(all, client.batch_execute("COMMIT")).await?;
        Ok(())
    }

    pub(super) async fn batch(&self, text: &str) -> Pg<()> {
        self.client.batch_execute(text).await
    }
}

/// Moves a connection's bytes until it ends.
async fn move_bytes<S, T>(mut connection: tokio_postgres::Connection<S, T>, mut hear: Option<Hear>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let next = |cx: &mut std::task::Context<'_>| connection.poll_message(cx);
    let mut messages = futures::stream::poll_fn(next);
    while let Some(Ok(message)) = futures::StreamExt::next(&mut messages).await {
        if let (AsyncMessage::Notification(n), Some(hear)) = (message, &mut hear) {
            hear(n);
        }
    }
}

/// What Postgres answers, before it is classified.
pub(super) type Pg<T> = std::result::Result<T, tokio_postgres::Error>;
