use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use flyte_core::contract::SecretValue;
use flyte_core::id::Digest;

/// `f_type` of a file system in memory.
const TMPFS_MAGIC: i64 = 0x0102_1994;

/// The private folder with the secrets of one attempt: in memory where this machine has `/dev/shm`
/// there, else in the attempt's own folder. Its name follows from that of the attempt, so that the
/// next owner finds it after a crash.
#[derive(Debug)]
pub(crate) struct SecretFolder {
    in_memory: PathBuf,
    on_disk: PathBuf,
}

impl SecretFolder {
    /// That of the attempt whose folder is `attempt`.
    pub(crate) fn of(attempt: &Path) -> Self {
        let name = attempt.as_os_str().as_encoded_bytes();
        let digest = Digest::of("flyte secret folder v1", name).to_hex();
        Self {
            in_memory: Path::new("/dev/shm").join(format!("flyte-secrets-{}", &digest[..32])),
            on_disk: attempt.join("secrets"),
        }
    }

    /// Where `write` puts the files.
    pub(crate) fn path(&self) -> &Path {
        let shm = self.in_memory.parent().expect("invariant: it has a parent");
        let is_memory = rustix::fs::statfs(shm).is_ok_and(|s| s.f_type == TMPFS_MAGIC);
        let writable = rustix::fs::access(shm, rustix::fs::Access::WRITE_OK).is_ok();
        match is_memory && writable {
            true => &self.in_memory,
            false => &self.on_disk,
        }
    }

    /// Writes the files anew; only the owner of this process can read them.
    pub(crate) fn write(&self, files: &[(PathBuf, SecretValue)]) -> io::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        self.remove()?;
        let root = self.path();
        let private = |folder: &Path| DirBuilder::new().mode(0o700).create(folder);
        private(root)?;
        for (name, value) in files {
            let path = root.join(name);
            let inner = path.parent().unwrap_or(root);
            for folder in inner.ancestors().collect::<Vec<_>>().into_iter().rev() {
                if folder.starts_with(root) && !folder.exists() {
                    private(folder)?;
                }
            }
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(value.reveal())?;
        }
        Ok(())
    }

    /// Removes the folder, wherever it is; it may be gone.
    pub(crate) fn remove(&self) -> io::Result<()> {
        for folder in [&self.in_memory, &self.on_disk] {
            let found = match fs::symlink_metadata(folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                found => found?,
            };
            // Others may create names in /dev/shm.
            if !found.is_dir() || found.uid() != rustix::process::geteuid().as_raw() {
                let text = format!("{} is not a folder of this user", folder.display());
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, text));
            }
            // A task may have made it read-only.
            fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
            match fs::remove_dir_all(folder) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                removed => removed?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_and_are_removed_as_often_as_asked() {
        let attempt = tempfile::tempdir().unwrap();
        let folder = SecretFolder::of(attempt.path());
        let file = |name: &str| (PathBuf::from(name), SecretValue::new("hunter2"));
        for _ in 0..2 {
            folder
                .write(&[file("db/v2/password"), file("db/other"), file("token")])
                .unwrap();
        }
        let root = folder.path().to_owned();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for inner in ["", "db", "db/v2"] {
            assert_eq!(mode(&root.join(inner)), 0o700, "{inner}");
        }
        for inner in ["db/v2/password", "db/other", "token"] {
            assert_eq!(mode(&root.join(inner)), 0o600, "{inner}");
            assert_eq!(fs::read(root.join(inner)).unwrap(), b"hunter2");
        }
        // Another process finds it by the attempt.
        let next = SecretFolder::of(attempt.path());
        for _ in 0..2 {
            next.remove().unwrap();
            assert!(!root.exists());
        }
        std::os::unix::fs::symlink("/tmp", &root).unwrap();
        assert!(next.remove().is_err(), "a link is not followed");
        fs::remove_file(&root).unwrap();
    }
}
