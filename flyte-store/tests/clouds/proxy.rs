use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A way to a server that is cut in the middle of what is sent.
pub(crate) struct Proxy {
    pub(crate) url: String,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// How many connections shall be cut.
    left: AtomicU32,
    cuts: AtomicU32,
    told: Notify,
}

impl Proxy {
    /// Bytes of a connection that pass before it is cut.
    const BYTES: usize = 1 << 20;

    pub(crate) async fn start(server: &str) -> Self {
        let server = server.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::<State>::default();
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(&server).await.unwrap();
                tokio::spawn(pass(client, server, shared.clone()));
            }
        });
        Self { url, state }
    }

    /// The next `n` uploads are cut.
    pub(crate) fn cut(&self, n: u32) {
        self.state.left.store(n, Ordering::SeqCst);
    }

    pub(crate) fn cuts(&self) -> u32 {
        self.state.cuts.load(Ordering::SeqCst)
    }

    /// Returns after `n` more cuts.
    pub(crate) async fn cut_again(&self, n: u32) {
        let wanted = self.cuts() + n;
        while self.cuts() < wanted {
            self.state.told.notified().await;
        }
    }
}

async fn pass(client: TcpStream, server: TcpStream, state: Arc<State>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let (mut buffer, mut passed) = (vec![0; 1 << 16], 0);
        loop {
            match from_client.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => {
                    passed += n;
                    let take = |left: u32| left.checked_sub(1);
                    if passed > Proxy::BYTES
                        && state
                            .left
                            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
                            .is_ok()
                    {
                        state.cuts.fetch_add(1, Ordering::SeqCst);
                        state.told.notify_one();
                        return;
                    }
                    if to_server.write_all(&buffer[..n]).await.is_err() {
                        return;
                    }
                }
            }
        }
    };
    let down = tokio::io::copy(&mut from_server, &mut to_client);
    // Whichever ends first ends both.
    tokio::select! {
        () = up => {}
        _ended = down => {}
    }
}
