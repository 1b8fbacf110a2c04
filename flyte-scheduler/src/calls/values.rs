//! Values that are stored out of band, as files of one `Literal` each. The folder of a file names
//! its digest, so that a value says by itself whether it is what was written.

use std::sync::Arc;
use std::time::Duration;

use flyte_core::id::Digest;
use flyte_core::journal::{ErrorOrigin, ExecutionError, OutputValues};
use flyte_core::limits::{LITERAL_DEPTH_MAX, OFFLOAD_BYTES_MAX, OFFLOAD_SUM_BYTES_MAX};
use flyte_core::literal::{
    Literal, LiteralType, Names, Offloaded, Resolved, Row, content_hash, infer, resolve_rest,
};
use flyte_core::object_store::{self, ObjectStore, ObjectStoreExt};
use flyte_core::{Error, ErrorKind};
use flyte_idl::convert::{decode_literal, encode_literal};
use futures::FutureExt;
use futures::future::BoxFuture;

use super::files::path_of;
use super::world::TRIES;
use crate::engine::{
    Effect, Input, READ_FAILURE, ReadRef, STORE_FAILURE, VALUE_FOLDER, is_foreign, is_heavy,
    value_digest,
};

/// The scheduler's store of files, as values out of band are in it.
#[derive(Clone, Debug)]
pub(crate) struct ValueFiles {
    blobs: Arc<dyn ObjectStore>,
    /// What the uris of `blobs` begin with.
    root: String,
}

const DOMAIN: &str = "flyte value v1";
/// Bytes that are encoded or decoded on the thread that asks: it may keep a lease.
const HERE_BYTES_MAX: u64 = 1024 * 1024;

type Answer<T> = Result<T, ExecutionError>;

/// The values of a row with all that is stored out of band in it, for a program that has the files
/// of a scheduler and no scheduler: `blobs` and `root` are those of
/// [`SchedulerBuilder::blobs`](crate::SchedulerBuilder::blobs).
///
/// ```
/// use std::sync::Arc;
/// use flyte_core::literal::{Literal, Row};
/// use flyte_core::object_store::{ObjectStore, memory::InMemory};
///
/// let blobs: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
/// let row = Row::from_pairs([("o0", Literal::Integer(1))]); // has all its values
/// let read = flyte_scheduler::read_values(&blobs, "s3://bucket", &row);
/// assert_eq!(futures::executor::block_on(read).unwrap(), row);
/// ```
///
/// # Errors
/// `Corrupt` if a value is gone, has another digest, or cannot be read after several tries.
pub async fn read_values(
    blobs: &Arc<dyn ObjectStore>,
    root: &str,
    row: &Row,
) -> flyte_core::Result<Row> {
    ValueFiles::new(blobs, root).read(row).await
}

/// Why one try to read a value failed.
enum Bad {
    /// Another try may do better.
    Now(String),
    /// It would not.
    Ever(String),
}

impl ValueFiles {
    pub(crate) fn new(blobs: &Arc<dyn ObjectStore>, root: &str) -> Self {
        Self {
            blobs: blobs.clone(),
            root: root.to_owned(),
        }
    }

    /// Does an effect that concerns values; what it answers.
    pub(crate) async fn answer(&self, effect: Effect) -> Input {
        match effect {
            Effect::Offload {
                at,
                prefix,
                above,
                names,
                outputs,
            } => {
                let result = self.store(&prefix, above, &names, outputs).await;
                Input::Offloaded { at, result }
            }
            Effect::ReadValue {
                read,
                offloaded,
                prefix,
                above,
            } => {
                let result = self.see(&read, &offloaded, &prefix, above).await;
                let read = Box::new(read);
                Input::ValueRead { read, result }
            }
            Effect::ReadInputs { at, inputs } => {
                let result = self.inline_row(&inputs).await;
                Input::InputsRead { at, result }
            }
            other => unreachable!("invariant: an effect on values, not {other:?}"),
        }
    }

    /// Stores those of an attempt's outputs that are too large, and those that an SDK stored: those
    /// again, in files that name their digests. The same outputs have the same files, so that it
    /// may be repeated.
    async fn store(
        &self,
        prefix: &str,
        above: Option<u64>,
        names: &Names,
        mut outputs: OutputValues,
    ) -> Answer<OutputValues> {
        for (name, output) in names.iter().zip(&mut outputs) {
            let heavy = |v: &mut Literal| above.is_some_and(|above| is_heavy(v, above));
            if let Some(value) = output.take_if(heavy) {
                *output = Some(self.put(prefix, name, value, None).await?);
            } else if let Some(value) = output.as_mut().filter(|v| is_foreign(v)) {
                *value = self.take_in(prefix, name, value).await?;
            }
        }
        Ok(outputs)
    }

    /// What an SDK stored, in a file that names its digest. What is not among our files stays.
    async fn take_in(&self, prefix: &str, name: &str, value: &Literal) -> Answer<Literal> {
        match value.value() {
            Literal::Offloaded(theirs) if self.local(&theirs.uri).is_some() => {
                let read = annotated_as(value, self.get(theirs).await?);
                // Whoever stored it knows better what it is.
                let known = theirs.inferred_type.clone();
                self.put(prefix, name, read, known).await
            }
            _ => Ok(value.clone()),
        }
    }

    /// A uri as the uris of our files are written; `None` if it is not among them.
    fn local<'a>(&self, uri: &'a str) -> Option<&'a str> {
        let local = match self.root.contains("://") {
            true => uri,
            false => uri.strip_prefix("file://").unwrap_or(uri),
        };
        let rest = local.strip_prefix(&self.root)?;
        (self.root.is_empty() || rest.starts_with('/')).then_some(local)
    }

    /// Stores a value, of a type that is known or else found out.
    async fn put(
        &self,
        prefix: &str,
        name: &str,
        value: Literal,
        known: Option<LiteralType>,
    ) -> Answer<Literal> {
        let failed = |why: &str| {
            let text = format!("the output `{name}` cannot be stored out of band: {why}");
            ExecutionError::new(ErrorOrigin::System, STORE_FAILURE, text)
        };
        let weight = value.weight();
        let made = elsewhere(weight, move || {
            let bytes = encode_literal(&value);
            let hash = value
                .hash()
                .map_or_else(|| content_hash(&value), Into::into);
            // A part that an SDK stored out of band may lack a type; then the whole has none.
            let inferred_type = known.or_else(|| infer(&value).ok());
            (Digest::of(DOMAIN, &bytes), bytes, hash, inferred_type)
        });
        let (digest, bytes, hash, inferred_type) = made.await.map_err(|e| failed(&e))?;
        let size_bytes = bytes.len() as u64;
        if size_bytes > OFFLOAD_BYTES_MAX {
            let text = format!(
                "the output `{name}` has {size_bytes} bytes, the limit is {OFFLOAD_BYTES_MAX}; \
                 hand larger values over as files"
            );
            let code = "OutputSizeExceeded";
            return Err(ExecutionError::new(ErrorOrigin::Unknown, code, text));
        }
        let uri = format!("{prefix}/{VALUE_FOLDER}{digest}/{name}_offloaded_metadata.pb");
        let path = path_of(&self.root, &uri).map_err(|e| failed(&e.to_string()))?;
        let bytes = bytes::Bytes::from(bytes);
        let mut tries = 0;
        while let Err(e) = self.blobs.put(&path, bytes.clone().into()).await {
            tries += 1;
            tracing::warn!(error = %e, uri, "a value was not stored yet");
            if tries == TRIES {
                return Err(failed(&e.to_string()));
            }
            tokio::time::sleep(pause(tries)).await;
        }
        let offloaded = Offloaded {
            uri: uri.into(),
            size_bytes,
            inferred_type,
        };
        Ok(Literal::Offloaded(Arc::new(offloaded)).annotated(hash, Default::default()))
    }

    /// What the engine has to see of a value.
    async fn see(
        &self,
        read: &ReadRef,
        offloaded: &Offloaded,
        prefix: &str,
        above: Option<u64>,
    ) -> Answer<Literal> {
        let mut value = self.get(offloaded).await?;
        let Some(path) = &read.wanted.path else {
            for _ in 0..LITERAL_DEPTH_MAX {
                let Literal::Offloaded(o) = value.value() else {
                    return Ok(value);
                };
                value = self.get(&o.clone()).await?;
            }
            return Err(unread(offloaded, "it leads from file to file"));
        };
        let mut rest = &path[..];
        for _ in 0..LITERAL_DEPTH_MAX {
            match resolve_rest(&value, rest) {
                Ok(Resolved::Value(found)) => {
                    return match above {
                        Some(above) if is_heavy(&found, above) => {
                            self.put(prefix, "value", found, None).await
                        }
                        _ => Ok(found),
                    };
                }
                Ok(Resolved::NeedsFetch { offloaded, taken }) => {
                    rest = &rest[taken..];
                    value = self.get(&offloaded).await?;
                }
                Err(e) => {
                    let text = format!("PromiseAttributeResolveError: {e}");
                    let code = "BindingResolutionFailure";
                    return Err(ExecutionError::new(ErrorOrigin::System, code, text));
                }
            }
        }
        Err(unread(offloaded, "it leads from file to file"))
    }

    /// A row with everything inline.
    pub(crate) async fn inline_row(&self, row: &Row) -> Answer<Row> {
        if !row.has_offloaded() {
            return Ok(row.clone());
        }
        let mut room = OFFLOAD_SUM_BYTES_MAX;
        let mut values = Vec::with_capacity(row.len());
        for value in row.values() {
            values.push(self.inline(value, 0, &mut room).await?);
        }
        Ok(Row::new(row.names().clone(), values).expect("invariant: as many as before"))
    }

    /// The same for a caller who is no attempt.
    pub(crate) async fn read(&self, row: &Row) -> flyte_core::Result<Row> {
        let read = self.inline_row(row).await;
        read.map_err(|e| Error::new(ErrorKind::Corrupt, "read", e.to_string()))
    }

    fn inline<'a>(
        &'a self,
        value: &'a Literal,
        depth: usize,
        room: &'a mut u64,
    ) -> BoxFuture<'a, Answer<Literal>> {
        async move {
            if !value.has_offloaded() {
                return Ok(value.clone());
            }
            let inline = match value.value() {
                Literal::Offloaded(o) if depth > LITERAL_DEPTH_MAX => {
                    return Err(unread(o, "it is nested too deep"));
                }
                Literal::Offloaded(o) => {
                    *room = room.checked_sub(o.size_bytes).ok_or_else(too_many)?;
                    let found = self.get(o).await?;
                    let found = self.inline(&found, depth + 1, room).await?;
                    // What we stored has its annotations with it.
                    return Ok(match is_foreign(value) {
                        true => annotated_as(value, found),
                        false => found,
                    });
                }
                Literal::Collection(items) => {
                    let mut out = Vec::with_capacity(items.len());
                    for item in items.iter() {
                        out.push(self.inline(item, depth + 1, room).await?);
                    }
                    Literal::Collection(Arc::new(out))
                }
                Literal::Map(entries) => {
                    let mut out = std::collections::BTreeMap::new();
                    for (key, item) in entries.iter() {
                        out.insert(key.clone(), self.inline(item, depth + 1, room).await?);
                    }
                    Literal::Map(Arc::new(out))
                }
                Literal::Union(u) => {
                    let mut own = (**u).clone();
                    own.value = self.inline(&u.value, depth + 1, room).await?;
                    Literal::Union(Arc::new(own))
                }
                other => other.clone(),
            };
            Ok(match value {
                Literal::Annotated(a) => inline.annotated(a.hash.clone(), a.metadata.clone()),
                _ => inline,
            })
        }
        .boxed()
    }

    /// The value in a file, compared with its size and digest.
    async fn get(&self, offloaded: &Offloaded) -> Answer<Literal> {
        let mut tries = 0;
        loop {
            let why = match self.try_get(offloaded).await {
                Ok(value) => return Ok(value),
                Err(Bad::Ever(why)) => return Err(unread(offloaded, &why)),
                Err(Bad::Now(why)) => why,
            };
            tries += 1;
            tracing::warn!(why, uri = %offloaded.uri, "a value cannot be read yet");
            if tries == TRIES {
                return Err(unread(offloaded, &why));
            }
            tokio::time::sleep(pause(tries)).await;
        }
    }

    async fn try_get(&self, offloaded: &Offloaded) -> Result<Literal, Bad> {
        let uri = &*offloaded.uri;
        let had = offloaded.size_bytes;
        if had > OFFLOAD_BYTES_MAX {
            let text = format!("it has {had} bytes, the limit is {OFFLOAD_BYTES_MAX}");
            return Err(Bad::Ever(text));
        }
        let Some(local) = self.local(uri) else {
            let text = format!(
                "it is not among the scheduler's files, which are in `{}`",
                self.root
            );
            return Err(Bad::Ever(text));
        };
        let path = path_of(&self.root, local).map_err(|e| Bad::Ever(e.to_string()))?;
        let file = match self.blobs.get(&path).await {
            Ok(file) => file,
            Err(object_store::Error::NotFound { .. }) => return Err(Bad::Now("it is gone".into())),
            Err(e) => return Err(Bad::Now(e.to_string())),
        };
        let size = file.meta.size;
        // Who offloads without saying how much has said nothing to compare with.
        if had != 0 && size != had || size > OFFLOAD_BYTES_MAX {
            return Err(Bad::Now(format!("it has {size} bytes, and had {had}")));
        }
        let bytes = file.bytes().await.map_err(|e| Bad::Now(e.to_string()))?;
        let digest = value_digest(uri);
        let read = elsewhere(size, move || {
            if digest.is_some_and(|d| d != Digest::of(DOMAIN, &bytes)) {
                return Err(Bad::Now("it has other bytes than were written".into()));
            }
            decode_literal(&bytes).map_err(|e| Bad::Ever(format!("it is no literal: {e}")))
        });
        read.await.map_err(Bad::Ever)?
    }
}

/// What was read of a value, with the annotations of what points at it, if it has none itself.
fn annotated_as(pointer: &Literal, read: Literal) -> Literal {
    match (pointer, &read) {
        (_, Literal::Annotated(_)) => read,
        (Literal::Annotated(a), _) => read.annotated(a.hash.clone(), a.metadata.clone()),
        _ => read,
    }
}

/// Does what takes long for many bytes on another thread: the asking one may keep a lease.
async fn elsewhere<T: Send + 'static>(
    bytes: u64,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, String> {
    match bytes > HERE_BYTES_MAX {
        true => tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| e.to_string()),
        false => Ok(work()),
    }
}

fn pause(tries: u32) -> Duration {
    Duration::from_millis(10 << tries)
}

fn unread(o: &Offloaded, why: &str) -> ExecutionError {
    let text = format!(
        "the value stored out of band at `{}` cannot be read: {why}; the node that made it must \
         run again",
        o.uri
    );
    ExecutionError::new(ErrorOrigin::System, READ_FAILURE, text)
}

fn too_many() -> ExecutionError {
    let text = format!(
        "the values stored out of band have more than {OFFLOAD_SUM_BYTES_MAX} bytes together; hand \
         them over as files"
    );
    ExecutionError::new(ErrorOrigin::Unknown, "InputSizeExceeded", text)
}

#[cfg(test)]
mod tests {
    use flyte_core::literal::SimpleType;
    use flyte_core::object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn what_an_sdk_stored_keeps_what_was_said_beside_it() {
        let blobs: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let files = ValueFiles::new(&blobs, "mem://test");
        let text = Literal::string("a text");
        let bytes = encode_literal(&text);
        let theirs = |uri: &str| {
            let offloaded = Offloaded {
                uri: uri.into(),
                size_bytes: bytes.len() as u64,
                inferred_type: Some(LiteralType::simple(SimpleType::Struct)),
            };
            let metadata = [("k".to_owned(), "v".to_owned())].into();
            Literal::Offloaded(Arc::new(offloaded)).annotated("their hash", metadata)
        };
        let path = path_of("mem://test", "mem://test/theirs/o0").unwrap();
        blobs.put(&path, bytes.clone().into()).await.unwrap();
        let value = theirs("mem://test/theirs/o0");
        let whole = files.read(&row(&value)).await.unwrap();

        let taken = files.take_in("mem://test/n0", "o0", &value).await.unwrap();
        assert!(is_foreign(&value) && !is_foreign(&taken));
        assert_eq!(taken.hash(), Some("their hash"));
        let Literal::Offloaded(ours) = taken.value() else {
            panic!("{taken:?} is inline");
        };
        assert_eq!(
            ours.inferred_type,
            Some(LiteralType::simple(SimpleType::Struct))
        );
        blobs.delete(&path).await.unwrap();
        let read = files.read(&row(&taken)).await.unwrap();
        assert_eq!(read, whole, "the same as before it was taken in");
        assert_eq!(read.values()[0].hash(), Some("their hash"));

        let elsewhere = theirs("s3://theirs/o0");
        let taken = files.take_in("mem://test/n0", "o0", &elsewhere).await;
        assert_eq!(taken.unwrap(), elsewhere);
    }

    fn row(value: &Literal) -> Row {
        Row::from_pairs([("o0", value.clone())])
    }
}
