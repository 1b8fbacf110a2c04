use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tokio::net::unix::pipe;

/// A named pipe beside the database: writing a byte wakes the owner of a shard, in any process.
///
/// The owner holds both ends, so that a ring between two waits stays in the pipe. A ring that is
/// lost, or a file system without pipes, costs time only: the inbox is looked at now and then.
#[derive(Debug)]
pub(super) struct Bell {
    path: PathBuf,
    both_ends: File,
}

/// Waits for one ring.
#[derive(Debug)]
pub(super) struct Listener(pipe::Receiver);

impl Bell {
    pub(super) fn hang(path: &Path) -> io::Result<Self> {
        let is_pipe = |p: &Path| std::fs::metadata(p).is_ok_and(|m| m.file_type().is_fifo());
        if !is_pipe(path) {
            let mode = Mode::RUSR | Mode::WUSR;
            mknodat(CWD, path, FileType::Fifo, mode, 0)?;
        }
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let both_ends = File::options()
            .read(true)
            .write(true)
            .custom_flags(nonblocking)
            .open(path)?;
        Ok(Self {
            path: path.to_owned(),
            both_ends,
        })
    }

    /// Wakes the owner, if there is one.
    pub(super) fn ring(path: &Path) {
        let nonblocking = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let file = File::options()
            .write(true)
            .custom_flags(nonblocking)
            .open(path);
        if let Ok(mut file) = file {
            // A pipe that is full rings already.
            let _full = file.write(&[1]);
        }
    }

    /// Forgets earlier rings; must be called before the inbox is looked at.
    pub(super) fn listen(&self) -> io::Result<Listener> {
        let listener = pipe::OpenOptions::new().open_receiver(&self.path)?;
        let mut old = [0; 4096];
        while let Ok(1..) = (&self.both_ends).read(&mut old) {}
        Ok(Listener(listener))
    }
}

impl Listener {
    pub(super) async fn rung(&mut self) {
        // An error means that nothing will be heard: patience then ends the wait.
        if self.0.readable().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
