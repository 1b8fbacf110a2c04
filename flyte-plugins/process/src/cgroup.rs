//! A control group (version 2) of an attempt's own: its processes cannot leave it, whatever they do to
//! their sessions and environments.
//!
//! It has a group below it, `job`, for the program and what that starts; the wrapper and the readers of
//! the logs are in the attempt's group itself, so that `job` can be killed before them.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// The folder of an attempt's group.
#[derive(Clone, Debug)]
pub(crate) struct Cgroup(pub(crate) PathBuf);

impl Cgroup {
    /// Makes a group below this process's own, where the kernel and the permissions allow it.
    pub(crate) fn make(name: &str) -> Option<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let own = fs::read_to_string("/proc/self/cgroup").ok()?;
        let group = Self(folder(&mounts, &own)?.join(name));
        let made = create(&group.0)
            .and_then(|()| create(&group.job()))
            .and_then(|()| fs::metadata(group.job().join("cgroup.kill")));
        match made {
            Ok(_) => Some(group),
            Err(_) => {
                // What was made of it is empty.
                let _left = group.remove();
                None
            }
        }
    }

    fn job(&self) -> PathBuf {
        self.0.join("job")
    }

    /// Kills the program and everything that it started.
    pub(crate) fn kill_job(&self) -> io::Result<()> {
        kill(&self.job())
    }

    /// Kills the wrapper and the readers, too.
    pub(crate) fn kill(&self) -> io::Result<()> {
        kill(&self.0)
    }

    /// Removes the group and all below it; whether it is gone. It stays while a process is in it.
    pub(crate) fn remove(&self) -> io::Result<bool> {
        remove(&self.0)
    }
}

/// The folder of this process's own group: below which mount of type `cgroup2` it is, also where the
/// older hierarchies are mounted beside it.
fn folder(mounts: &str, own: &str) -> Option<PathBuf> {
    let own = own.lines().find_map(|l| l.strip_prefix("0::"))?;
    mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        if kind.split(' ').next() != Some("cgroup2") {
            return None;
        }
        let mut words = mount.split(' ').skip(3);
        let (root, point) = (words.next()?, words.next()?);
        // The group is given from the root of the hierarchy, of which a part may be mounted.
        let below = Path::new(own).strip_prefix(root).ok()?;
        Some(Path::new(&point.replace("\\040", " ")).join(below))
    })
}

fn create(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    }
}

fn kill(group: &Path) -> io::Result<()> {
    match fs::write(group.join("cgroup.kill"), "1") {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn remove(group: &Path) -> io::Result<bool> {
    let entries = match fs::read_dir(group) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() && !remove(&entry.path())? {
            return Ok(false);
        }
    }
    match fs::remove_dir(group) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(e) if e.kind() == io::ErrorKind::ResourceBusy => Ok(false),
        Err(e) => Err(e),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_found_below_its_mount() {
        let hybrid = "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
                      32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
                      41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let own = "4:memory:/other\n0::/user/one.scope\n";
        let found = folder(hybrid, own).unwrap();
        assert_eq!(found, Path::new("/sys/fs/cgroup/unified/user/one.scope"));
        let part = "9 1 0:2 /user /mnt/c\\040g rw - cgroup2 none rw\n";
        assert_eq!(folder(part, own).unwrap(), Path::new("/mnt/c g/one.scope"));
        // This process is outside of the part that is mounted.
        assert_eq!(folder(part, "0::/system/x\n"), None);
        assert_eq!(folder("1 0 0:1 / / rw - ext4 /dev/a rw\n", own), None);
        assert_eq!(folder(hybrid, "4:memory:/other\n"), None);
    }
}
