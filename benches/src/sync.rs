use std::io::Write;
use std::path::Path;
use std::time::Instant;

use crate::Done;
use crate::report::{Sample, peak_rss_kib};

/// One append with fdatasync, in the folder of the database: what one commit cannot be faster than.
pub(crate) fn run(path: &str) -> Done<Sample> {
    const APPENDS: u32 = 200;
    let folder = Path::new(path)
        .parent()
        .filter(|p| !p.as_os_str().is_empty());
    let mut file = tempfile::tempfile_in(folder.unwrap_or(Path::new(".")))?;
    let begun = Instant::now();
    for _ in 0..APPENDS {
        file.write_all(&[0; 512])?;
        file.sync_data()?;
    }
    let seconds = begun.elapsed().as_secs_f64() / f64::from(APPENDS);
    Ok(Sample {
        seconds,
        rss_kib: peak_rss_kib(),
        ..Sample::default()
    })
}
