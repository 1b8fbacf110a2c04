use std::path::Path;

/// The processes of attempts that are still there: their commands name the folder of the executions.
pub(super) fn left(folder: &Path) -> Result<Vec<String>, String> {
    let folder = folder.to_string_lossy().into_owned();
    let own = std::process::id().to_string();
    let mut out = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(|e| e.to_string())? {
        let path = entry.map_err(|e| e.to_string())?.path();
        // A process that is over has no command.
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        let pid = path.file_name().map(|n| n.to_string_lossy().into_owned());
        if pid.is_some_and(|p| p != own) && command.contains(&folder) {
            out.push(format!("{}: {command}", path.display()));
        }
    }
    Ok(out)
}
