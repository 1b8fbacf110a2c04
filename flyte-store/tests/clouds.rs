//! The same on a folder, on S3 and on Azure, whose emulators `scripts/with-clouds` starts, and on a
//! server that speaks Google's protocol: there is no emulator to be had that takes the requests by
//! which files are written there.

#[path = "clouds/gcs.rs"]
mod gcs;
#[path = "clouds/places.rs"]
mod places;
#[path = "clouds/proxy.rs"]
mod proxy;

use flyte_core::ErrorKind;
use flyte_core::contract::Durability;
use flyte_store::{BlobOptions, Blobs};
use futures::{StreamExt, TryStreamExt};
use gcs::Gcs;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use places::{Place, place};
use proxy::Proxy;

/// S3 wants parts of 5 MiB, but for the last.
const PART: usize = 5 << 20;

async fn names(blobs: &Blobs) -> Vec<String> {
    let all = blobs.store.list(None).map_ok(|m| m.location.to_string());
    let mut all: Vec<String> = all.try_collect().await.unwrap();
    all.sort();
    all
}

/// What the scheduler and tasks rely on.
async fn behaves(at: &Place) {
    let blobs = at.options().open().unwrap();
    blobs.check().await.unwrap();
    let store = &blobs.store;
    let path = Path::from("metadata/a b/inputs.pb");
    assert!(matches!(
        store.head(&path).await,
        Err(Error::NotFound { .. })
    ));
    store.put(&path, "one".into()).await.unwrap();
    store.put(&path, "two".into()).await.unwrap();
    let got = store.get(&path).await.unwrap();
    assert_eq!(got.meta.size, 3);
    assert_eq!(got.bytes().await.unwrap(), "two");
    // First wins.
    let create = || PutOptions::from(PutMode::Create);
    let once = Path::from("once");
    store.put_opts(&once, "1".into(), create()).await.unwrap();
    let again = store.put_opts(&once, "2".into(), create()).await;
    assert!(
        matches!(again, Err(Error::AlreadyExists { .. })),
        "{again:?}"
    );
    // In parts: not there until it is whole, and never if it is given up.
    let large = Path::from("raw/large");
    let mut upload = store.put_multipart(&large).await.unwrap();
    upload
        .put_part(PutPayload::from(vec![1; PART]))
        .await
        .unwrap();
    assert!(matches!(
        store.head(&large).await,
        Err(Error::NotFound { .. })
    ));
    upload
        .put_part(PutPayload::from(vec![2; 10]))
        .await
        .unwrap();
    upload.complete().await.unwrap();
    assert_eq!(store.head(&large).await.unwrap().size, PART as u64 + 10);
    let range = store.get_range(&large, PART as u64 - 1..PART as u64 + 1);
    assert_eq!(range.await.unwrap(), [1_u8, 2][..]);
    let given_up = Path::from("raw/given-up");
    let mut upload = store.put_multipart(&given_up).await.unwrap();
    upload
        .put_part(PutPayload::from(vec![1; PART]))
        .await
        .unwrap();
    upload.abort().await.unwrap();
    let all = ["metadata/a b/inputs.pb", "once", "raw/large"];
    assert_eq!(names(&blobs).await, all);
    let below = store.list(Some(&Path::from("metadata"))).next().await;
    assert_eq!(below.unwrap().unwrap().location, path);
    store.delete(&large).await.unwrap();
    assert_eq!(names(&blobs).await, all[..2]);
    // Another prefix sees nothing of it.
    assert!(names(&at.other().open().unwrap()).await.is_empty());
}

#[tokio::test]
async fn a_folder_behaves() {
    let folder = tempfile::tempdir().unwrap();
    let at = Place::folder(folder.path());
    behaves(&at).await;
    // Nothing is left of what was begun.
    assert_eq!(
        std::fs::read_dir(folder.path().join("one/raw"))
            .unwrap()
            .count(),
        0
    );
}

#[tokio::test]
async fn s3_behaves() {
    behaves(&place!("S3")).await;
}

#[tokio::test]
async fn azure_behaves() {
    behaves(&place!("AZURE")).await;
}

#[tokio::test]
async fn gcs_behaves() {
    behaves(&Place::gcs(Gcs::start().await)).await;
}

/// The connection is cut in the middle of an upload.
async fn cut(at: &Place) {
    let direct = at.options().open().unwrap();
    let proxy = Proxy::start(&at.server()).await;
    let through = at.through(&proxy.url).open().unwrap();
    let payload = || PutPayload::from(vec![7; 4 << 20]);
    // It is cut once: the next try brings it.
    let path = Path::from("patient");
    proxy.cut(1);
    through.store.put(&path, payload()).await.unwrap();
    assert_eq!(proxy.cuts(), 1);
    assert_eq!(direct.store.head(&path).await.unwrap().size, 4 << 20);
    // It is cut each time: the writer goes, as one that is killed does, and nothing is there.
    let path = Path::from("never");
    proxy.cut(u32::MAX);
    let upload = through.store.put(&path, payload());
    tokio::select! {
        done = upload => panic!("{done:?}"),
        () = proxy.cut_again(3) => {}
    }
    assert!(matches!(
        direct.store.head(&path).await,
        Err(Error::NotFound { .. })
    ));
    // In parts: one arrives, the next is cut.
    let path = Path::from("parts");
    proxy.cut(0);
    let mut upload = through.store.put_multipart(&path).await.unwrap();
    upload
        .put_part(PutPayload::from(vec![1; PART]))
        .await
        .unwrap();
    proxy.cut(u32::MAX);
    tokio::select! {
        done = upload.put_part(PutPayload::from(vec![2; PART])) => panic!("{done:?}"),
        () = proxy.cut_again(3) => {}
    }
    drop(upload);
    assert!(matches!(
        direct.store.head(&path).await,
        Err(Error::NotFound { .. })
    ));
    assert_eq!(names(&direct).await, ["patient"]);
}

#[tokio::test]
async fn a_cut_upload_to_s3_is_no_result() {
    cut(&place!("S3")).await;
}

#[tokio::test]
async fn a_cut_upload_to_azure_is_no_result() {
    cut(&place!("AZURE")).await;
}

#[tokio::test]
async fn a_cut_upload_to_gcs_is_no_result() {
    cut(&Place::gcs(Gcs::start().await)).await;
}

async fn names_a_missing_bucket(at: &Place, url: &str) {
    let missing = at.options_at(url).open().unwrap();
    let refused = missing.check().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound, "{refused}");
    assert!(
        refused.to_string().contains("there-is-no-such-bucket"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_missing_bucket_of_s3_is_named() {
    names_a_missing_bucket(&place!("S3"), "s3://there-is-no-such-bucket/x").await;
}

#[tokio::test]
async fn a_missing_bucket_of_gcs_is_named() {
    let at = Place::gcs(Gcs::start().await);
    names_a_missing_bucket(&at, "gs://there-is-no-such-bucket/x").await;
}

#[test]
fn urls() {
    let open = |url: &str| {
        let options = BlobOptions::new(url)
            .with_variable("AWS_ACCESS_KEY_ID", "key")
            .with_variable("AWS_SECRET_ACCESS_KEY", "hidden")
            .with_variable("AZURE_STORAGE_ACCOUNT_NAME", "account")
            .with_variable("AZURE_STORAGE_ACCOUNT_KEY", "aGlkZGVu")
            .with_variable("GOOGLE_SKIP_SIGNATURE", "true");
        let blobs = options.open()?;
        let shown = format!("{options:?} {blobs:?}");
        assert!(
            !shown.contains("hidden") && !shown.contains("aGlk"),
            "{shown}"
        );
        Ok::<_, flyte_core::Error>((blobs.root, blobs.store.to_string()))
    };
    for (url, root, store) in [
        ("s3://bucket", "s3://bucket", "AmazonS3(bucket)"),
        ("s3://bucket/", "s3://bucket", "AmazonS3(bucket)"),
        (
            "s3://bucket/a/b/",
            "s3://bucket/a/b",
            "PrefixObjectStore(a/b)",
        ),
        ("gs://bucket", "gs://bucket", "GoogleCloudStorage(bucket)"),
        (
            "az://box",
            "az://box",
            "{ account: account, container: box }",
        ),
        (
            "abfs://box/",
            "abfs://box",
            "{ account: account, container: box }",
        ),
        (
            "abfs://box@account.dfs.core.windows.net",
            "abfs://box@account.dfs.core.windows.net",
            "{ account: account, container: box }",
        ),
    ] {
        let opened = open(url).unwrap();
        assert_eq!(opened.0, root);
        assert!(opened.1.contains(store), "{opened:?}");
    }
    for (url, said) in [
        ("s3://", "bucket is missing"),
        ("s3:///a", "bucket is missing"),
        ("s3://bucket/a//b", "prefix"),
        ("s3://bucket/a?b", "`?`"),
        ("ftp://host/a", "no place for blobs"),
        ("relative/folder", "absolute"),
        ("/there/is/no/such/folder", "/there/is/no"),
    ] {
        let refused = open(url).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains(said), "{url}: {refused}");
    }
    let http = BlobOptions::new("s3://b").with_variable("AWS_ENDPOINT_URL", "http://127.0.0.1:1");
    let refused = http.open().unwrap_err().to_string();
    assert!(refused.contains("AWS_ALLOW_HTTP=true"), "{refused}");
    let profile = BlobOptions::new("s3://b").with_variable("AWS_PROFILE", "work");
    let refused = profile.open().unwrap_err().to_string();
    assert!(refused.contains("AWS_ACCESS_KEY_ID"), "{refused}");
}

#[tokio::test]
async fn a_folder_syncs_for_power() {
    let folder = tempfile::tempdir().unwrap();
    let url = folder.path().to_string_lossy();
    let said = |durability| {
        let options = BlobOptions::new(url.clone()).with_durability(durability);
        format!("{:?}", options.open().unwrap().store)
    };
    assert!(said(Durability::Power).contains("fsync: true"));
    assert!(said(Durability::Process).contains("fsync: false"));
}
