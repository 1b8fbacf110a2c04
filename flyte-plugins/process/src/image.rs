//! Which image a task stands for.

/// What a tag of an image begins with that stands for an `ImageSpec` of flytekit; its id follows.
const TAG: &str = "_F_IMG_ID.";

/// The id of the `ImageSpec` that an image stands for. In a container of it, the variable `_F_IMG_ID`
/// has that id, and `ImageSpec.is_container()` compares it.
pub(crate) fn image_spec_id(image: &str) -> Option<&str> {
    let (_, tag) = image.rsplit_once(':')?;
    tag.strip_prefix(TAG)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_in_the_tag() {
        assert_eq!(
            image_spec_id("localhost:30000/trainer:_F_IMG_ID.b-_9"),
            Some("b-_9")
        );
        for image in [
            "",
            "trainer",
            "trainer:1",
            "localhost:30000/trainer",
            "a@sha256:00",
        ] {
            assert_eq!(image_spec_id(image), None, "{image}");
        }
    }
}
