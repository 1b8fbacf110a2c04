use flyte_core::object_store::path::Path;
use flyte_core::object_store::{self, ObjectStoreExt, PutPayload};
use flyte_store::Blobs;
use tokio::io::AsyncReadExt;

use super::FOLDER;
use super::disk::{Copy, join};
use super::tree::{Entry, Tree};
use crate::fail::{Refusal, Result};

/// Bytes of one part of an upload.
const PART_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of a key in the clouds that are known here.
const KEY_BYTES_MAX: usize = 1_024;

/// Uploads a copy to its place, unless it is there.
pub(super) async fn keep(blobs: &Blobs, copy: &Copy, tree: &Tree, name: &str) -> Result<()> {
    let digest = copy.digest.to_hex();
    let mut keys = Vec::with_capacity(tree.entries.len());
    // A cloud has no folders.
    for entry in tree.entries.iter().filter(|e| !e.is_folder()) {
        let key = match &*entry.path {
            "" => format!("{FOLDER}/{digest}/{name}"),
            inner => format!("{FOLDER}/{digest}/{name}/{inner}"),
        };
        keys.push((entry, key_of(&blobs.root, &key)?));
    }
    let bad = |e: object_store::Error| Refusal::new("Blobs", e.to_string());
    // Its age says when it was used last; it comes first, so that what follows is not pruned.
    let used = Path::from(format!("{FOLDER}/{digest}.used"));
    let put = blobs.store.put(&used, PutPayload::default()).await;
    put.map_err(bad)?;
    for (entry, key) in keys {
        match blobs.store.head(&key).await {
            Ok(there) if there.size == entry.stamp.bytes => continue,
            Ok(_) | Err(object_store::Error::NotFound { .. }) => {}
            Err(e) => return Err(bad(e)),
        }
        upload(blobs, copy, entry, &key).await?;
    }
    Ok(())
}

/// A key, as far as a cloud can hold it.
fn key_of(root: &str, key: &str) -> Result<Path> {
    let refuse = |why: String| {
        let shown = key.escape_debug();
        let text = format!("the store of files cannot hold a file named `{shown}`: {why}");
        Err(Refusal::new("BadFileName", text).remedy("give the file another name"))
    };
    let prefix = root.splitn(4, '/').nth(3).map_or(0, |p| p.len() + 1);
    if prefix + key.len() > KEY_BYTES_MAX {
        return refuse(format!("a key has at most {KEY_BYTES_MAX} bytes"));
    }
    match Path::parse(key) {
        Ok(path) => Ok(path),
        Err(e) => refuse(e.to_string().escape_debug().to_string()),
    }
}

async fn upload(blobs: &Blobs, copy: &Copy, entry: &Entry, key: &Path) -> Result<()> {
    let path = join(&copy.path(), &entry.path);
    let io = |e: std::io::Error| super::tree::failed(&path, &e);
    let bad = |e: object_store::Error| Refusal::new("Blobs", e.to_string()).at(key);
    let mut file = tokio::fs::File::open(&path).await.map_err(io)?;
    if entry.stamp.bytes <= PART_BYTES as u64 {
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).await.map_err(io)?;
        blobs.store.put(key, bytes.into()).await.map_err(bad)?;
        return Ok(());
    }
    let mut upload = blobs.store.put_multipart(key).await.map_err(bad)?;
    loop {
        let mut part = Vec::with_capacity(PART_BYTES);
        let mut room = (&mut file).take(PART_BYTES as u64);
        let read = room.read_to_end(&mut part).await.map_err(io)?;
        if read == 0 {
            break;
        }
        if let Err(e) = upload.put_part(part.into()).await {
            let _cut = upload.abort().await;
            return Err(bad(e));
        }
    }
    upload.complete().await.map_err(bad)?;
    Ok(())
}
