//! What is done once the program of an attempt has ended, before its outcome is told.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use flyte_core::limits::OFFLOAD_BYTES_MAX;
use flyte_core::literal::Row;
use flyte_idl::convert::{decode_literal_map, encode_literal_map};

use crate::copy::at;
use crate::folder::{Folder, write_whole};
use crate::inputs::{FILE, Given};
use crate::uris::replace;

impl Folder {
    /// Puts outputs that name a private copy back to the original, and looks whether originals that were
    /// read in place have changed: then it says how. The answer stays the same from the first call on.
    pub(crate) fn settle(&self) -> io::Result<Option<String>> {
        let Some(given) = self.given()? else {
            return Ok(None);
        };
        let settled = self.0.join("settled");
        match fs::read_to_string(&settled) {
            Ok(text) => return Ok((!text.is_empty()).then_some(text)),
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(at(&settled, &e)),
            Err(_) => {}
        }
        let mut change = None;
        for original in &given.originals {
            change = change.or(original.change()?);
        }
        if let Some(job) = self.job()
            && !job.output_prefix.contains("://")
            && !given.copies.is_empty()
        {
            self.mend_outputs(&Path::new(&job.output_prefix).join("outputs.pb"), &given)?;
        }
        write_whole(&settled, change.as_deref().unwrap_or_default().as_bytes())?;
        Ok(change)
    }

    fn mend_outputs(&self, path: &Path, given: &Given) -> io::Result<()> {
        // Longer ones are refused by whoever reads them.
        match fs::metadata(path) {
            Ok(meta) if meta.len() <= OFFLOAD_BYTES_MAX => {}
            _ => return Ok(()),
        }
        let bytes = fs::read(path).map_err(|e| at(path, &e))?;
        // What cannot be read is named by the scheduler, which reads it next.
        let Ok(row) = decode_literal_map(&bytes) else {
            return Ok(());
        };
        match originals(&row, &self.inputs(), given) {
            Some(row) => write_whole(path, &encode_literal_map(&row)),
            None => Ok(()),
        }
    }
}

/// Outputs with the originals of what names copies; `None` if nothing does.
fn originals(row: &Row, folder: &Path, given: &Given) -> Option<Row> {
    let original = |text: &str| {
        let path = Path::new(text.strip_prefix(FILE).unwrap_or(text));
        // Copy N is in the folder N.
        let number = path.strip_prefix(folder).ok()?.components().next()?;
        let number: usize = number.as_os_str().to_str()?.parse().ok()?;
        let (copy, original) = given.copies.get(number)?;
        let rest = path.strip_prefix(copy).ok()?;
        let mut whole: PathBuf = original.clone();
        whole.extend(rest);
        let end = if text.ends_with('/') { "/" } else { "" };
        let scheme = if text.starts_with(FILE) { FILE } else { "" };
        Some(format!("{scheme}{}{end}", whole.to_string_lossy()))
    };
    let mut changed = false;
    let values = row.values().iter().map(|value| {
        let new = replace(value, &mut |text, _| original(text));
        changed |= new.is_some();
        new.unwrap_or_else(|| value.clone())
    });
    let values: Vec<_> = values.collect();
    changed
        .then(|| Row::new(row.names().clone(), values))
        .flatten()
}
