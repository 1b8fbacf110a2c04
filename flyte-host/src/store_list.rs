use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::fail::{Refusal, Result};
use crate::store_address::StoreAddress;

/// Stores of one folder.
const STORES_MAX: usize = 100;

/// The stores that runs of this folder used, beside its own database: `.flyte/stores.json`.
///
/// A url is kept with its password, so that `resume` needs nothing else: the file has mode 0600.
pub(crate) struct StoreList(PathBuf);

/// What the file holds, the oldest first.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Content {
    stores: Vec<String>,
}

impl StoreList {
    /// The list in a state folder.
    pub(crate) fn of(state: &Path) -> Self {
        Self(state.join("stores.json"))
    }

    /// The stores, the one that was added last first.
    pub(crate) fn read(&self) -> Result<Vec<StoreAddress>> {
        let place = self.0.display().to_string();
        let stores = self.content()?.stores;
        let parsed = stores.iter().rev().map(|s| StoreAddress::parse(s, &place));
        parsed.collect()
    }

    /// Adds a store before the first execution is submitted to it; the list is on the disk when this
    /// returns. A store in memory is not kept.
    pub(crate) fn add(&self, store: &StoreAddress) -> Result<()> {
        if *store == StoreAddress::Memory {
            return Ok(());
        }
        let text = store.whole();
        if self.content()?.stores.contains(&text) {
            return Ok(());
        }
        let bad = |e: std::io::Error| Refusal::new("Io", e.to_string()).at(self.0.display());
        // Another run may add its own store now.
        let lock = File::create(self.0.with_extension("lock")).map_err(bad)?;
        lock.lock().map_err(bad)?;
        let mut content = self.content()?;
        if content.stores.contains(&text) {
            return Ok(());
        }
        if content.stores.len() >= STORES_MAX {
            let lost =
                |s: &String| StoreAddress::parse(s, "").is_ok_and(|address| address.is_new_file());
            content.stores.retain(|s| !lost(s));
        }
        if content.stores.len() >= STORES_MAX {
            let text = format!("runs of this folder have used {STORES_MAX} stores");
            return Err(Refusal::new("Limit", text)
                .at(self.0.display())
                .remedy("remove from this file the stores that are not used any more"));
        }
        content.stores.push(text);
        self.write(&content).map_err(bad)
    }

    fn content(&self) -> Result<Content> {
        let bad = |m: String| {
            Refusal::new("Io", m)
                .at(self.0.display())
                .remedy("delete the file, and give --store with the next command")
        };
        match std::fs::read(&self.0) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|e| bad(e.to_string())),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Content::default()),
            Err(e) => Err(bad(e.to_string())),
        }
    }

    fn write(&self, content: &Content) -> std::io::Result<()> {
        let folder = self.0.parent().expect("invariant: it is in a state folder");
        // Such a file has mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(content)?)?;
        file.as_file().sync_all()?;
        file.persist(&self.0).map_err(|e| e.error)?;
        File::open(folder)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn stores_are_kept_once_and_only_the_owner_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let list = StoreList::of(folder.path());
        assert_eq!(list.read().unwrap(), []);
        let store = |text: &str| StoreAddress::parse(text, "--store").unwrap();
        let (one, two) = (store("sqlite:/a/b.db"), store("postgres://u:p@h/d"));
        for added in [&one, &two, &one, &StoreAddress::Memory] {
            list.add(added).unwrap();
        }
        assert_eq!(list.read().unwrap(), [two, one]);
        let mode = std::fs::metadata(&list.0).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_full_list_forgets_files_that_are_gone_and_refuses_more() {
        let folder = tempfile::tempdir().unwrap();
        let list = StoreList::of(folder.path());
        let add = |text: &str| list.add(&StoreAddress::parse(text, "--store").unwrap());
        for n in 0..STORES_MAX - 1 {
            add(&format!("postgres://h/{n}")).unwrap();
        }
        add("sqlite:/no/such/file.db").unwrap();
        add("postgres://h/last").unwrap();
        assert_eq!(list.read().unwrap().len(), STORES_MAX);
        let refused = add("postgres://h/more").unwrap_err().line();
        assert!(refused.contains("100 stores"), "{refused}");
        std::fs::write(&list.0, "nothing").unwrap();
        let refused = list.read().unwrap_err().line();
        assert!(refused.contains("delete the file"), "{refused}");
    }
}
