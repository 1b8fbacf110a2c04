use serde::{Deserialize, Serialize};

use crate::id::{AttemptKey, Digest, Str};
use crate::literal::{Row, Timestamp};
use crate::{Error, ErrorKind, Result};

/// A stored result of a task, as a [`Cache`](super::Cache) keeps it.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// The outputs.
    pub outputs: Row,
    /// Which attempt made it.
    pub producer: AttemptKey,
    /// When.
    pub created_at: Timestamp,
    /// What lay where its outputs point when it was stored. A uri that is not here is not compared:
    /// it is elsewhere than in the scheduler's store of files, or has too many of them, or an
    /// earlier version stored the result.
    pub blobs: Vec<ArtifactBlob>,
}

/// What one uri of a stored result named: a file, or a folder with all that is in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactBlob {
    /// The uri, as it stands in the outputs.
    pub uri: Str,
    /// Its files, by path.
    pub files: Vec<ArtifactFile>,
}

/// A file of a stored result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactFile {
    /// Its path inside the folder; empty if the uri names this file.
    pub path: Str,
    /// How long it is, in bytes.
    pub bytes: u64,
    /// The digest of its bytes; `None` if it is too long for one (see
    /// [`CACHE_DIGEST_BYTES_MAX`](crate::limits::CACHE_DIGEST_BYTES_MAX)).
    pub digest: Option<Digest>,
}

/// What precedes the blobs in the stored form. A result without any ends before it, as results of
/// earlier versions do; those versions read what is before it, and leave the rest.
const BLOBS: u8 = 1;

impl Artifact {
    /// The stored form, which [`Artifact::from_bytes`] of this version and of later ones reads.
    ///
    /// ```
    /// # use flyte_core::contract::Artifact;
    /// # use flyte_core::id::{AttemptKey, ExecutionId, NodeAddr, Tenant};
    /// # use flyte_core::literal::{Literal, Row, Timestamp};
    /// # let execution = ExecutionId::new(Tenant::default(), "e1");
    /// # let producer = AttemptKey { execution, addr: NodeAddr::default(), attempt: 0 };
    /// # let outputs = Row::from_pairs([("o0", Literal::Integer(42))]);
    /// # let created_at = Timestamp::UNIX_EPOCH;
    /// # let artifact = Artifact { outputs, producer, created_at, blobs: Vec::new() };
    /// assert_eq!(Artifact::from_bytes(&artifact.to_bytes())?, artifact);
    /// # Ok::<_, flyte_core::Error>(())
    /// ```
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let row = (&self.outputs, &self.producer, self.created_at);
        let mut bytes = stored(&row);
        if !self.blobs.is_empty() {
            bytes.push(BLOBS);
            bytes.extend(stored(&self.blobs));
        }
        bytes
    }

    /// Reads what [`Artifact::to_bytes`] wrote.
    ///
    /// # Errors
    /// `Corrupt` if it did not write this, `NewerVersion` if a later version added to it what this
    /// one does not know.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let bad = |e: postcard::Error| {
            let text = format!("a stored result cannot be read: {e}");
            Error::new(ErrorKind::Corrupt, "Artifact::from_bytes", text).with_source(e)
        };
        let ((outputs, producer, created_at), rest) =
            postcard::take_from_bytes(bytes).map_err(bad)?;
        let (blobs, rest) = match rest {
            [] => (Vec::new(), rest),
            [BLOBS, blobs @ ..] => postcard::take_from_bytes(blobs).map_err(bad)?,
            _ => (Vec::new(), rest),
        };
        if let Some(part) = rest.first() {
            let text = format!("a stored result has a part {part}, which a later version wrote");
            return Err(Error::new(
                ErrorKind::NewerVersion,
                "Artifact::from_bytes",
                text,
            ));
        }
        Ok(Self {
            outputs,
            producer,
            created_at,
            blobs,
        })
    }

    /// Sets `found` for each text that its outputs contain, also inside of documents.
    pub fn mark(&self, texts: &[String], found: &mut [bool]) {
        let bytes = stored(&self.outputs);
        // Texts are stored as they are, by this library and by MessagePack.
        let all = String::from_utf8_lossy(&bytes);
        for (text, found) in texts.iter().zip(found).filter(|(_, found)| !**found) {
            *found = all.contains(text.as_str());
        }
    }
}

fn stored(value: &impl Serialize) -> Vec<u8> {
    postcard::to_allocvec(value).expect("invariant: no type that postcard refuses")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ExecutionId, NodeAddr, Tenant};
    use crate::literal::Literal;

    /// What is stored; these bytes never change.
    const WITHOUT: &str = "02026f30026f3102015403072f646174612f78000770726f6a65637406646f6d61696e02653101ac020280c49fd50cc0a9d33a";
    const WITH: &str = "02026f30026f3102015403072f646174612f78000770726f6a65637406646f6d61696e02653101ac020280c49fd50cc0a9d33a0102072f646174612f78010004010707070707070707070707070707070707070707070707070707070707070707072f646174612f790201610001080808080808080808080808080808080808080808080808080808080808080803622f6380808080802000";

    fn artifact() -> Artifact {
        Artifact {
            outputs: Row::from_pairs([
                ("o0", Literal::Integer(42)),
                ("o1", Literal::string("/data/x")),
            ]),
            producer: AttemptKey {
                execution: ExecutionId::new(Tenant::new("project", "domain"), "e1"),
                addr: NodeAddr::new(1, 300),
                attempt: 2,
            },
            created_at: Timestamp::from_unix_millis(1_700_000_000_123),
            blobs: Vec::new(),
        }
    }

    fn with_blobs() -> Artifact {
        let file = |path: &str, bytes, digest| ArtifactFile {
            path: path.into(),
            bytes,
            digest,
        };
        let file_alone = vec![file("", 4, Some(Digest([7; 32])))];
        let folder = vec![
            file("a", 0, Some(Digest([8; 32]))),
            file("b/c", 1 << 40, None),
        ];
        let blob = |uri: &str, files| ArtifactBlob {
            uri: uri.into(),
            files,
        };
        Artifact {
            blobs: vec![blob("/data/x", file_alone), blob("/data/y", folder)],
            ..artifact()
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    fn unhex(text: &str) -> Vec<u8> {
        let digits = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digits).collect()
    }

    #[test]
    fn the_stored_form_stays() {
        for (artifact, golden) in [(artifact(), WITHOUT), (with_blobs(), WITH)] {
            assert_eq!(hex(&artifact.to_bytes()), golden);
            assert_eq!(Artifact::from_bytes(&unhex(golden)).unwrap(), artifact);
        }
    }

    /// As versions derived it that knew nothing of blobs.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Earlier {
        outputs: Row,
        producer: AttemptKey,
        created_at: Timestamp,
    }

    #[test]
    fn earlier_versions_and_this_one_read_each_other() {
        for artifact in [artifact(), with_blobs()] {
            let earlier: Earlier = postcard::from_bytes(&artifact.to_bytes()).unwrap();
            let read = Artifact::from_bytes(&stored(&earlier)).unwrap();
            let blobs = Vec::new();
            assert_eq!(read, Artifact { blobs, ..artifact });
        }
    }

    #[test]
    fn what_was_cut_or_is_newer_is_refused() {
        let (head, all) = (artifact().to_bytes().len(), with_blobs().to_bytes());
        for cut in (0..all.len()).filter(|n| *n != head) {
            let e = Artifact::from_bytes(&all[..cut]).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{cut}: {e}");
        }
        for (form, bytes) in [("short", &all[..head]), ("whole", &all[..])] {
            let e = Artifact::from_bytes(&[bytes, &[2, 0]].concat()).unwrap_err();
            assert_eq!(e.kind(), ErrorKind::NewerVersion, "{form}: {e}");
        }
    }
}
