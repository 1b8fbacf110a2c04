use super::{Literal, Row};

impl Literal {
    /// About how many bytes it takes in a journal; see
    /// [`VALUES_BYTES_MAX`](crate::limits::VALUES_BYTES_MAX). Texts and bytes count in full, what is
    /// around them a few bytes each.
    ///
    /// ```
    /// use flyte_core::literal::Literal;
    /// assert!(Literal::Integer(7).weight() < 32);
    /// let long = Literal::string("x".repeat(1_000_000));
    /// let list = Literal::collection([long.clone(), long]);
    /// assert!((2_000_000..2_000_100).contains(&list.weight()));
    /// ```
    #[must_use]
    pub fn weight(&self) -> u64 {
        /// What a value takes beside its texts.
        const OWN: u64 = 12;
        let inside = match self {
            Self::None
            | Self::Integer(_)
            | Self::Float(_)
            | Self::Boolean(_)
            | Self::Datetime(_)
            | Self::Duration(_) => 0,
            Self::String(s) => s.len() as u64,
            Self::Binary(b) => b.value.len() as u64,
            Self::Collection(items) => items.iter().map(Self::weight).sum(),
            Self::Map(entries) => {
                let entry = |(k, v): (&crate::id::Str, &Self)| k.len() as u64 + v.weight();
                entries.iter().map(entry).sum()
            }
            Self::Union(u) => u.value.weight() + 64,
            // Few of these are long, and their parts are many.
            Self::Blob(_)
            | Self::Schema(_)
            | Self::Error(_)
            | Self::Generic(_)
            | Self::StructuredDataset(_)
            | Self::Offloaded(_)
            | Self::Annotated(_) => {
                let bytes = postcard::to_allocvec(self);
                bytes
                    .expect("invariant: no type that postcard refuses")
                    .len() as u64
            }
        };
        inside + OWN
    }

    /// Whether it, or a part of it, is stored out of band.
    ///
    /// ```
    /// use flyte_core::literal::Literal;
    /// assert!(!Literal::collection([Literal::Integer(7)]).has_offloaded());
    /// ```
    #[must_use]
    pub fn has_offloaded(&self) -> bool {
        match self.value() {
            Self::Offloaded(_) => true,
            Self::Collection(items) => items.iter().any(Self::has_offloaded),
            Self::Map(entries) => entries.values().any(Self::has_offloaded),
            Self::Union(u) => u.value.has_offloaded(),
            _ => false,
        }
    }
}

impl Row {
    /// About how many bytes its values take; see [`Literal::weight`].
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.values().iter().map(Literal::weight).sum()
    }

    /// Whether a value, or a part of one, is stored out of band.
    #[must_use]
    pub fn has_offloaded(&self) -> bool {
        self.values().iter().any(Literal::has_offloaded)
    }
}
